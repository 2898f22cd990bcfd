#!/usr/bin/python3
"""`resnext calibrate`: the file that it writes, and how well int8 and bf16 agree with float32."""
import base64
import filecmp
import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_resnext as tool  # noqa: E402

SHARED = os.path.join(tool.SOURCE, "..", "shared")
FIELDS = ["file", "method", "rounding", "images", "held_out", "failed", "top1_agreement", "cosine",
          "least_cosine", "agreement", "cascade", "price", "layers"]


def copy(scratch, source=tool.CIFAR):
    folder = os.path.join(scratch, "model")
    tool.copy_model(source, folder)
    return folder


def calibrate(folder, pictures, *args):
    done = tool.run("calibrate", "--json", folder, pictures, *args)
    assert done.returncode == 0, done.stderr
    line, = tool.json_lines(done.stdout.decode())
    return line


def calibrated(folder):
    with open(os.path.join(folder, "calibration.json"), encoding="utf-8") as file:
        return json.load(file)


def test_json_has_exactly_its_fields(scratch):
    folder = copy(scratch)
    out = calibrate(folder, tool.PICTURES)
    count = len([n for n in os.listdir(tool.PICTURES) if n.endswith(".jpg")])
    assert list(out) == FIELDS and out["agreement"] is None
    assert out["rounding"] == "least-squares"
    assert (out["images"], out["held_out"], out["failed"]) == (count - count // 2, count // 2, 0)
    assert out["file"] == os.path.join(folder, "calibration.json")
    assert [list(layer) for layer in out["layers"]] == [["name", "snr_db"]] * len(out["layers"])
    assert all(layer["snr_db"] > 18 for layer in out["layers"]), out
    assert out["least_cosine"] <= out["cosine"] <= 1 and out["cosine"] > 0.99, out


def test_the_file_is_of_these_weights(scratch):
    folder = copy(scratch)
    calibrate(folder, tool.PICTURES, "--method", "minmax")
    written = calibrated(folder)
    info = json.loads(tool.good("info", "--json", "--precision", "int8", folder))
    assert info["precision"] == "int8"
    assert (written["version"], written["method"]) == (2, "minmax")
    assert written["weights_sha256"] == info["sha256"]
    shutil.copyfile(os.path.join(folder, "calibration.json"), os.path.join(scratch, "c.json"))
    other = os.path.join(scratch, "other")
    tool.good("init", "blocks=3,3,3:C=8:d=4:stem=cifar:stem_width=32:out=128", other)
    shutil.copyfile(os.path.join(scratch, "c.json"), os.path.join(other, "calibration.json"))
    says = tool.bad(1, "verify", "--precision", "int8", other)
    assert "other weights" in says and "resnext calibrate" in says, says


def test_the_file_is_of_these_pixels(scratch):
    """After a corrected std in config.json the same weights give other activations."""
    folder = copy(scratch)
    calibrate(folder, tool.PICTURES, "--method", "minmax")
    path = os.path.join(folder, "config.json")
    with open(path) as file:
        config = json.load(file)
    for key in ("mean", "std"):
        tool.good("verify", "--precision", "int8", folder)
        picture = dict(config["pretrained_cfg"])
        picture[key] = [*picture[key][:2], picture[key][2] * 0.5]
        tool.write(path, json.dumps({**config, "pretrained_cfg": picture}).encode())
        for command in (["verify"], ["info"], ["classify", folder, *tool.pictures()[:1]]):
            says = tool.bad(1, *command, "--precision", "int8", *([folder] if len(command) == 1 else []))
            assert "another mean or std" in says and "resnext calibrate" in says, says
        tool.write(path, json.dumps(config).encode())


def test_threads_change_nothing(scratch):
    folder = copy(scratch)
    files = [os.path.join(scratch, name) for name in ("one.json", "four.json")]
    for file, threads in zip(files, ("1", "4")):
        calibrate(folder, tool.PICTURES, "--threads", threads, "--out", file)
    assert filecmp.cmp(*files, shallow=False)
    assert calibrated(folder) == calibrated(tool.CIFAR)  # --out left the folder alone


def test_methods_differ(scratch):
    folder, seen = copy(scratch), []
    for method in ("minmax", "percentile", "mse"):
        os.remove(os.path.join(folder, "calibration.json"))
        out = calibrate(folder, tool.PICTURES, "--method", method, "--holdout", "0")
        assert (out["method"], out["held_out"], out["cosine"]) == (method, 0, None), out
        seen.append(calibrated(folder)["layers"])
    assert seen[0] != seen[1] != seen[2] != seen[0]


def test_rounding_by_least_squares_takes_noise_away(scratch):
    archive = os.path.join(SHARED, "data", "cifar10_dev.tar")
    if not os.path.exists(archive):
        raise tool.Skip("no " + archive)
    subprocess.run(["tar", "-xf", archive, "-C", scratch], check=True)
    folder, ratios = copy(scratch), {}
    for rounding in ("nearest", "least-squares"):
        out = calibrate(folder, os.path.join(scratch, "cifar10_dev"), "--rounding", rounding, "-n", "200")
        ratios[rounding] = [layer["snr_db"] for layer in out["layers"]]
    gains = [b - a for a, b in zip(*ratios.values())]
    assert sum(gains) / len(gains) > 0.5 and min(gains) > -0.5, gains


def test_roundings_are_all_that_least_squares_adds(scratch):
    folder, written = copy(scratch), {}
    for rounding in ("nearest", "least-squares"):
        assert calibrate(folder, tool.PICTURES, "--rounding", rounding)["rounding"] == rounding
        written[rounding] = calibrated(folder)
    layers = {name: dict(layer) for name, layer in written["least-squares"]["layers"].items()}
    bits = {name: layer.pop("rounding") for name, layer in layers.items() if "rounding" in layer}
    assert set(layers) == set(bits) and "fc" not in bits, sorted(bits)
    assert layers == written["nearest"]["layers"]
    weights = 32 * 3 * 9  # of conv1
    assert len(base64.b64decode(bits["conv1"], validate=True)) == weights // 8
    tool.good("verify", "--precision", "int8", folder)


def test_version_1_gives_the_answers_of_the_nearest(scratch):
    folder = copy(scratch)
    path = os.path.join(folder, "calibration.json")
    answers = []
    calibrate(folder, tool.PICTURES, "--rounding", "nearest")
    written = calibrated(folder)
    for version in (2, 1):
        tool.write(path, json.dumps({**written, "version": version}).encode())
        answers.append(tool.good("classify", "--json", "--logits", "--precision", "int8", folder,
                                 *tool.pictures()[:3]))
    assert answers[0] == answers[1]
    calibrate(folder, tool.PICTURES)
    written = calibrated(folder)
    tool.write(path, json.dumps({**written, "version": 1}).encode())
    says = tool.bad(1, "verify", "--precision", "int8", folder)
    assert "conv1: rounding: version 1 has none" in says and "resnext calibrate" in says, says


def test_every_rung_gives_the_same_rounded_int8(scratch):
    folder, answers = copy(scratch), {}
    calibrate(folder, tool.PICTURES)
    for isa in ("ref", "generic", "avx2", "avx_vnni", "avx512_vnni", "auto"):
        done = tool.run("classify", "--json", "--logits", "--precision", "int8", "--isa", isa,
                        folder, *tool.pictures()[:2])
        if done.returncode != 2:  # this machine has it
            answers[isa] = done.stdout
    assert len(answers) >= 3 and all(a == answers["ref"] for a in answers.values()), answers


def test_every_rung_gives_the_same_int8(scratch):
    one = tool.picture("toad.jpg")
    answers = {}
    for isa in ("ref", "generic", "avx2", "avx_vnni", "avx512_vnni", "avx512_bf16", "auto"):
        done = tool.run("classify", "--json", "--logits", "--precision", "int8", "--isa", isa,
                        tool.CIFAR, one)
        if done.returncode != 2:  # this machine has it
            answers[isa] = json.loads(done.stdout)["logits"]
    assert len(answers) >= 3 and all(a == answers["ref"] for a in answers.values()), answers
    for precision in ("f32", "bf16", "int8"):
        tool.good("verify", "--precision", precision, tool.CIFAR)


def unpacked(scratch):
    """A folder of 1000 pictures."""
    archive = os.path.join(SHARED, "data", "cifar10_dev.tar")
    if not os.path.exists(archive):
        raise tool.Skip("no " + archive)
    subprocess.run(["tar", "-xf", archive, "-C", scratch], check=True)
    return os.path.join(scratch, "cifar10_dev")


def cascade_of(folder):
    """Its file's, with the nine digits of numbers that are printed."""
    return {key: float(f"{number:.9g}") for key, number in calibrated(folder)["cascade"].items()}


def agreement(folder, pictures):
    exact, other = (best(folder, pictures, precision)[0] for precision in ("f32", "int8"))
    return sum(a == b for a, b in zip(exact, other)) / len(exact)


def check_price(price, cascade):
    assert list(price) == ["factor", "int8_ms", "f32_ms", "weight_bytes"]
    assert abs(price["factor"] - 1 - cascade["fraction"] * price["f32_ms"] / price["int8_ms"]) < 1e-6, price
    assert price["int8_ms"] > 0 and price["f32_ms"] > 0, price
    assert price["weight_bytes"] >= 4 * 728490, price


def test_a_promised_agreement_holds(scratch):
    """Chosen by 400 pictures, it holds on all 1000."""
    folder, pictures = copy(scratch), unpacked(scratch)
    out = calibrate(folder, pictures, "-n", "800", "--agreement", "99.9")
    cascade, price = out["cascade"], out["price"]
    assert cascade == cascade_of(folder), out
    assert calibrated(folder)["cascade"]["agreement"] == out["agreement"] == 0.999, out
    assert 0.9 < out["top1_agreement"] <= 1, out
    assert list(cascade) == ["margin", "agreement", "fraction"]
    assert cascade["agreement"] == 0.999 and cascade["margin"] > 0 and 0 < cascade["fraction"] < 0.05, out
    check_price(price, cascade)
    assert agreement(folder, pictures) >= 0.999
    evaluated = json.loads(tool.good("eval", "--json", "--precision", "int8", folder, pictures))
    assert 0 < evaluated["recomputed"] / 1000 < 2 * cascade["fraction"], evaluated
    assert json.loads(tool.good("eval", "--json", folder, pictures))["recomputed"] == 0
    text = tool.good("eval", "--precision", "int8", folder, pictures)
    assert f"cascade  {evaluated['recomputed']} computed again in float32 (" in text, text


def test_a_cascade_is_told_of(scratch):
    folder, pictures = copy(scratch), unpacked(scratch)
    said = tool.good("calibrate", folder, pictures, "-n", "800", "--agreement", "99.9")
    cascade = cascade_of(folder)
    per_cent = f"{100 * cascade['fraction']:.1f} %"
    assert (f"agreement   99.9 %: pictures that int8 decides by less than {cascade['margin']:.3g} are computed "
            f"again in float32, {per_cent} of those held out\n") in said, said
    assert re.search(r"\nprice       \d\.\d\d times the time of int8 \(\d+\.\d \+ 0\.\d+ x \d+\.\d ms\), "
                     r"and 3 MB for the float32 weights\n", said), said
    assert json.loads(tool.good("info", "--json", "--precision", "int8", folder))["cascade"] == cascade
    assert json.loads(tool.good("info", "--json", folder))["cascade"] is None
    text = tool.good("info", "--precision", "int8", folder)
    assert f"decided by less than {cascade['margin']:.3g}: again in float32 ({per_cent}" in text, text
    assert "cascade" not in tool.good("info", folder)
    words = ("bench", "--precision", "int8", "--iterations", "3", folder)
    measured = json.loads(tool.good(*words, "--json"))
    assert measured["cascade"] == cascade
    check_price(measured["price"], cascade)
    text = tool.good(*words)
    assert f"\ncascade   not measured: all times are of int8 alone; {per_cent} of pictures would be " in text, text
    assert re.search(r"\nprice     \d\.\d\d times the time of int8 \(\d+\.\d \+ 0\.\d+ x ", text), text
    tool.good("verify", "--precision", "int8", folder)


def test_a_promise_that_int8_keeps_needs_no_cascade(scratch):
    folder, pictures = copy(scratch), unpacked(scratch)
    out = calibrate(folder, pictures, "-n", "800", "--agreement", "90")
    assert out["agreement"] == 0.9 and out["cascade"] is None and out["price"] is None, out
    assert "cascade" not in calibrated(folder)
    said = tool.good("calibrate", folder, pictures, "-n", "800", "--agreement", "90")
    assert "agreement   90 %: int8 alone keeps it\n" in said, said


def test_promises_that_cannot_be_made_are_refused(scratch):
    folder, pictures = copy(scratch), unpacked(scratch)
    before = calibrated(folder)
    for value in ("100", "50", "0", "-1", "x", "", "nan", "99.5%", "inf"):
        says = tool.bad(2, "calibrate", folder, pictures, "--agreement", value)
        assert "not a percentage above 50 and below 100" in says, says
    for promise, words, needed, count in (("99", ["-n", "198"], 100, 99), ("60", ["--holdout", "0.05"], 100, 50),
                                          ("99.9", ["-n", "498"], 250, 249), ("99.99", [], 2500, 500)):
        says = tool.bad(1, "calibrate", folder, pictures, "--agreement", promise, *words)
        assert f"--agreement {promise} needs {needed} or more pictures held out, but of " in says, says
        assert f"there are {count}; take more pictures or a larger --holdout" in says, says
    assert calibrated(folder) == before


def test_what_cannot_be_done_says_so(scratch):
    folder = copy(scratch)
    before = calibrated(folder)
    for value in ("1", "-0.1", "x", "", "nan"):
        tool.bad(2, "calibrate", folder, tool.PICTURES, "--holdout", value)
    says = tool.bad(2, "calibrate", folder, tool.PICTURES, "--method", "best")
    assert "it can be mse, minmax, percentile\n" in says, says
    says = tool.bad(1, "calibrate", folder, os.path.join(scratch, "missing"))
    assert "missing: No such file" in says and len(says.splitlines()) == 1, says
    tool.bad(2, "calibrate", folder, tool.PICTURES, "--images", "0")
    tool.bad(1, "calibrate", folder, tool.PICTURES, "--out", os.path.join(scratch, "no", "file"))
    tool.bad(1, "calibrate", os.path.join(scratch, "no_model"), tool.PICTURES)
    assert calibrated(folder) == before
    os.remove(os.path.join(folder, "calibration.json"))
    assert "resnext calibrate" in tool.bad(1, "verify", "--precision", "int8", folder)


def test_what_is_in_the_way_is_said_before_the_work(scratch):
    """All of these fail before the invalid picture is read."""
    folder, album, empty = copy(scratch), os.path.join(scratch, "album"), os.path.join(scratch, "empty")
    before = calibrated(folder)
    os.makedirs(os.path.join(empty, "below"))
    shutil.copytree(tool.PICTURES, album)
    tool.write(os.path.join(album, "aa_broken.jpg"), b"no picture")
    for words, reason in (
            ([folder, empty], "there is no *.jpg or *.jpeg"),
            ([folder, "-"], "cannot read -"),
            ([folder, album, "--out", os.path.join(scratch, "no", "file")], "No such file or directory; --out"),
            ([folder, album, "--out", scratch], "Is a directory; --out"),
            ([folder, album, "--holdout", "0"], "would have no report"),
            ([folder, tool.picture("toad.jpg")], "none of 1 pictures is compared")):
        says = tool.bad(1, "calibrate", *words)
        assert reason in says and len(says.splitlines()) == 1, (words, says)
    assert calibrated(folder) == before


def test_a_report_of_nothing_replaces_nothing(scratch):
    """None of the pictures held out can be read."""
    folder, album = copy(scratch), os.path.join(scratch, "album")
    before = calibrated(folder)
    os.mkdir(album)
    shutil.copy(tool.picture("toad.jpg"), os.path.join(album, "a.jpg"))
    tool.write(os.path.join(album, "b.jpg"), b"no picture")
    says = tool.bad(1, "calibrate", folder, album)
    assert "would have no report" in says and calibrated(folder) == before, says
    os.remove(os.path.join(folder, "calibration.json"))
    assert tool.run("calibrate", folder, album).returncode == 1  # b.jpg failed
    assert calibrated(folder)["images"] == 1


def test_a_calibration_changes_nothing_unasked(scratch):
    for words, precision in (([], "f32"), (["--precision", "int8"], "int8")):
        assert json.loads(tool.good("info", "--json", *words, tool.CIFAR))["precision"] == precision


def test_a_broken_picture_is_reported_once(scratch):
    folder, pictures = copy(scratch), os.path.join(scratch, "pictures")
    shutil.copytree(tool.PICTURES, pictures)
    with open(os.path.join(pictures, "aa_broken.jpg"), "wb") as file:
        file.write(b"no picture")
    done = tool.run("calibrate", "--json", "--method", "minmax", folder, pictures)
    out, = tool.json_lines(done.stdout.decode())
    assert done.returncode == 1 and out["failed"] == 1, (done.returncode, out)
    assert done.stderr.decode().count("aa_broken.jpg") == 1, done.stderr


def test_few_pictures_are_called_few(scratch):
    folder, many = copy(scratch), os.path.join(scratch, "many")
    command = ("calibrate", "--method", "minmax", folder)
    os.mkdir(many)
    for i in range(64):
        shutil.copy(os.path.join(tool.PICTURES, "mare.jpg"), os.path.join(many, f"{i}.jpg"))
    assert b"pictures are few" in tool.run(*command, tool.PICTURES).stderr
    assert tool.run(*command, many).stderr == b""


def best(folder, pictures, precision):
    """([label of each picture], the share of labels that are the name of the folder)"""
    lines = tool.json_lines(tool.good("classify", "--json", "-k", "1", "--precision", precision,
                                      folder, pictures))
    labels = [line["predictions"][0]["label"] for line in lines]
    return labels, sum(label == line["file"].split("/")[-2] for label, line in zip(labels, lines)) / len(lines)


def test_accuracy_on_cifar(scratch):
    archive = os.path.join(SHARED, "data", "cifar10_dev.tar")
    if not os.path.exists(archive):
        raise tool.Skip("no " + archive)
    subprocess.run(["tar", "-xf", archive, "-C", scratch], check=True)
    pictures = os.path.join(scratch, "cifar10_dev")
    exact, exact_top1 = best(tool.CIFAR, pictures, "f32")
    done = tool.good("eval", "--json", "--precision", "f32", tool.CIFAR, pictures)
    assert json.loads(done)["top1"] == exact_top1
    for precision, most, agreement in (("int8", 0.0031, 0.995), ("bf16", 0.0011, 0.998)):
        other, top1 = best(tool.CIFAR, pictures, precision)
        same = [a == b for a, b in zip(exact, other)]
        assert abs(exact_top1 - top1) <= most, (precision, exact_top1, top1)
        assert sum(same) >= agreement * len(same) == agreement * 1000, (precision, sum(same))


def test_golden_network_on_photos(scratch):
    model = os.path.join(SHARED, "models", "mini-imagenet-random")
    photos = os.path.join(SHARED, "data", "photos")
    if not os.path.exists(model) or not os.path.exists(photos):
        raise tool.Skip("no " + model)
    out = calibrate(copy(scratch, model), photos, "--holdout", "0.5")
    assert out["held_out"] == 21 and out["cosine"] > 0.98, out


if __name__ == "__main__":
    sys.exit(tool.main(globals()))
