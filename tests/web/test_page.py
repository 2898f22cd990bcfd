#!/usr/bin/python3 -B
"""The web page in headless Chromium, against a running daemon. Needs chromium, node and
playwright-core (install.sh); with RESNEXT_TEST_SCREENSHOTS=FOLDER it leaves pictures of the page."""
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
import folders
import harness
from harness import SLOW, Skip, case

PLAYWRIGHT = os.environ.get("PLAYWRIGHT_FOLDER", os.path.join(harness.BUILD, "tests/web"))
CHROMIUM = shutil.which("chromium")
NETWORK = os.path.join(harness.TOP, "models/resnet50-imagenet")
PICTURES = os.path.join(harness.DATA, "pictures")
BROWSER = None


def absent():
    """What keeps these tests from running, or None."""
    if not CHROMIUM:
        return "there is no chromium"
    if not shutil.which("node"):
        return "there is no node"
    if not os.path.isdir(os.path.join(PLAYWRIGHT, "node_modules/playwright-core")):
        return "there is no playwright-core; see tests/web/install.sh"
    return None


def draw(name):
    """Files that are no plain JPEG, for the page to convert."""
    try:
        from PIL import Image
    except ImportError:
        raise Skip("there is no python3-pil") from None
    with Image.open(os.path.join(PICTURES, "mare.jpg")) as mare:
        if name.endswith(".png"):
            mare.resize((320, 320)).save(harness.path(name))
        else:
            exif = Image.Exif()
            exif[0x0112] = 6
            mare.resize((320, 240)).rotate(90, expand=True).save(harness.path(name), quality=95, exif=exif)
    return harness.path(name)


def drawings(*names):
    """The drawn test pictures as large as photos."""
    sys.path.insert(0, os.path.join(HERE, "..", "reference"))
    try:
        import draw_pictures
    except ImportError as reason:
        raise Skip(str(reason)) from None
    for name in names:
        getattr(draw_pictures, name)(640, 480).save(harness.path(name + ".jpg"), quality=92)
    return [harness.path(name + ".jpg") for name in names]


def photos(*names):
    return [os.path.join(harness.DATA, "photos", name + ".jpg") for name in names]


def has_maps(daemon):
    return daemon.ask("POST", "/explain", body=harness.reference()[0]).status != 404


def browse(daemon, name, **more):
    """Runs one function of page.mjs on a page of the daemon."""
    global BROWSER
    if absent():
        raise Skip(absent())
    if BROWSER is None or BROWSER.poll() is not None:
        BROWSER = subprocess.Popen(
            ["node", os.path.join(HERE, "page.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, preexec_fn=harness.die_with_parent,
            env={**os.environ, "PLAYWRIGHT_FOLDER": os.path.abspath(PLAYWRIGHT), "CHROMIUM": CHROMIUM,
                 "SLOW": str(SLOW)})
    task = {"name": name, "url": "http://%s:%d/" % daemon.address, "pictures": PICTURES, **more}
    BROWSER.stdin.write(json.dumps(task) + "\n")
    BROWSER.stdin.flush()
    answer = json.loads(BROWSER.stdout.readline() or '{"error": "the browser ended"}')
    assert "error" not in answer, answer["error"]


@case(seconds=60)
def a_picture_is_shown_with_its_classes_and_times(daemon):
    browse(daemon, "upload")


@case()
def a_failed_picture_says_why(daemon):
    browse(daemon, "failure", bad=harness.write("bad.jpg", b"\xff\xd8\xff\xe0 no picture"),
           text=harness.write("notes.txt", "no picture"))


@case()
def several_pictures_show_their_progress(daemon):
    browse(daemon, "several")


@case(seconds=60)
def many_pictures_are_all_classified(daemon):
    browse(daemon, "many")


@case()
def other_formats_are_converted(daemon):
    browse(daemon, "convert", png=draw("mare.png"))


@case()
def a_turned_photo_is_shown_and_seen_upright(daemon):
    browse(daemon, "turned", turned=draw("turned.jpg"), shown=[320, 240], label="horse")


@case(["--exif-orientation", "ignore"])
def a_turned_photo_is_shown_as_it_is_seen(daemon):
    browse(daemon, "turned", turned=draw("turned.jpg"), shown=[240, 320])


@case()
def pasted_and_dropped_pictures_are_taken(daemon):
    browse(daemon, "paste_and_drop")


@case()
def a_map_lies_over_what_the_network_saw(daemon):
    browse(daemon, "map")


@case()
def a_server_without_maps_is_borne(daemon):
    browse(daemon, "no_maps")


@case()
def the_servers_own_map_is_shown(daemon):
    if not has_maps(daemon):
        raise Skip("this server draws no maps")
    browse(daemon, "real_map")


@case()
def large_pictures_are_shown(daemon):
    browse(daemon, "large", files=drawings("airliner", "saloon"), labels=["airplane", "automobile"],
           maps=has_maps(daemon), shot="drawings")


@case(own=None, seconds=60)
def photos_are_shown():
    """Its screenshot, photos.png, is the one in README."""
    if not os.path.isdir(NETWORK):
        raise Skip("there is no models/resnet50-imagenet; ./bootstrap imagenet makes it")
    with harness.Daemon(["--model", NETWORK]) as daemon:
        browse(daemon, "large", files=photos("coffee", "cat"), labels=["espresso", "Egyptian cat"],
               model=os.path.basename(NETWORK), maps=has_maps(daemon), shot="photos")


@case()
def a_busy_server_is_asked_again(daemon):
    browse(daemon, "busy")


@case()
def what_failed_can_be_tried_again(daemon):
    browse(daemon, "again", bad=harness.write("worse.jpg", b"\xff\xd8\xff\xe0 no picture"))


@case()
def what_is_removed_is_not_waited_for(daemon):
    browse(daemon, "removed")


@case()
def what_is_removed_early_is_not_kept(daemon):
    browse(daemon, "removed_early", png=draw("mare.png"))


@case()
def all_classes_can_be_seen(daemon):
    browse(daemon, "all_classes")


@case()
def the_keyboard_is_enough(daemon):
    browse(daemon, "keyboard")


@case()
def a_phone_shows_everything(daemon):
    browse(daemon, "phone")


@case()
def dark_and_light_have_contrast(daemon):
    browse(daemon, "contrast")


@case()
def what_moves_can_be_stilled(daemon):
    browse(daemon, "stilled")


@case(seconds=60)
def the_load_is_shown_with_and_without_metrics(daemon):
    browse(daemon, "live")


@case(["--model", "second=" + os.path.join(harness.DATA, "tiny-imagenet-style")])
def the_model_can_be_chosen(daemon):
    browse(daemon, "models")


@case(own=None)
def sigmoids_are_no_shares_of_a_whole():
    folder = folders.make("many", config={**folders.config(), "activation": "sigmoid"})
    with harness.Daemon(["--model", f"many={folder}"]) as daemon:
        browse(daemon, "sigmoid")


@case()
def a_key_is_asked_for_and_sent(daemon):
    browse(daemon, "key")


def needs_option(name):
    if f"--{name}" not in harness.run("--help")[1]:
        raise Skip(f"this daemon has no --{name}")


@case(own=None)
def a_key_opens_a_closed_server():
    needs_option("api-keys")
    key = "open-sesame-if-you-please"
    line = subprocess.run([harness.DAEMON, "--hash-api-key"], input=key, text=True, capture_output=True).stdout
    keys = harness.write("keys", line)
    os.chmod(keys, 0o600)
    with harness.Daemon(["--api-keys", keys], wait=False) as daemon:
        assert daemon.notified(10 * SLOW), daemon.log()
        browse(daemon, "closed", key=key)


@case(own=None)
def metrics_elsewhere_are_not_missed():
    needs_option("admin-listen")
    host, port = harness.free_port()
    with harness.Daemon(["--admin-listen", f"{host}:{port}"]) as daemon:
        browse(daemon, "no_metrics")


if __name__ == "__main__":
    harness.main()
