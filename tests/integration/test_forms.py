#!/usr/bin/python3 -B
"""Model folders in the forms in which others write them are served with the same answers as timm's."""
import json
import os
import shutil
import subprocess

import folders
import harness
from folders import CONFIG, WEIGHTS
from harness import case

RESNET, RESNEXT = (os.path.join(harness.DATA, name) for name in ("tiny-resnet18-style", "tiny-imagenet-style"))
PROCESSOR = {"image_processor_type": "BitImageProcessor", "do_resize": True, "do_center_crop": True,
             "do_rescale": True, "do_normalize": True, "do_convert_rgb": True, "resample": 2,
             "rescale_factor": 1 / 255, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
             "size": {"height": 82, "width": 82}, "crop_size": {"height": 72, "width": 72}}


def hugging_face_config():
    """That of RESNET, as transformers' save_pretrained would write it."""
    with open(os.path.join(RESNET, "labels.txt"), encoding="utf-8") as file:
        names = file.read().splitlines()
    return {"architectures": ["ResNetForImageClassification"], "model_type": "resnet", "num_channels": 3,
            "embedding_size": 8, "hidden_sizes": [8, 16, 32, 64], "depths": [2, 2, 2, 2], "layer_type": "basic",
            "hidden_act": "relu", "downsample_in_first_stage": False, "downsample_in_bottleneck": False,
            "dtype": "bfloat16", "out_features": ["stage4"], "out_indices": [4], "transformers_version": "5.24.0",
            "stage_names": ["stem", "stage1", "stage2", "stage3", "stage4"],
            "id2label": {str(i): name for i, name in enumerate(names)},
            "label2id": {name: i for i, name in enumerate(names)}}


def renamed_weights(folder, rename):
    header, data = folders.read(folder)
    return folders.archive(folders.renamed(header, rename), data)


def tool(*arguments):
    run = subprocess.run([harness.TOOL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return run.returncode, run.stdout, run.stderr


def answers(folder):
    """What the tool says of all pictures, with logits."""
    pictures = os.path.join(harness.DATA, "pictures")
    code, out, err = tool("classify", "--json", "--logits", folder, pictures)
    assert code == 0, err
    return sorted((json.loads(line) for line in out.splitlines()), key=lambda answer: answer["file"])


def served_as(folder, original):
    wanted = answers(original)
    assert len(wanted) > 10 and answers(folder) == wanted


@case(own=None, seconds=60)
def hugging_faces_resnet_is_served_as_it_is():
    folder = folders.make("face", renamed_weights(RESNET, folders.hugging_face), hugging_face_config(),
                          processor=PROCESSOR)
    served_as(folder, RESNET)
    code, out, err = tool("info", "--json", folder)
    assert code == 0, err
    said = json.loads(out)
    assert said["template"] == json.loads(tool("info", "--json", RESNET)[1])["template"], said
    assert said["labels"] == CONFIG and said["preprocess"]["crop_offset"] == "floor", said
    assert tool("verify", folder)[0] == 0
    with harness.Daemon(["--model", f"face={folder}"]) as daemon:
        for row in [row for row in harness.goldens() if os.path.basename(row["model"]) == os.path.basename(RESNET)]:
            answer = daemon.classify(harness.picture(row["picture"]), query="?model=face")
            assert answer.status == 200, answer
            best = json.loads(answer.body)["predictions"][0]
            assert (best["class_id"], best["label"]) == (row["top1"], row["label"]), (best, row)


@case(own=None)
def an_imported_one_is_served_with_its_own_json():
    original = folders.make("whole", renamed_weights(RESNET, folders.hugging_face), hugging_face_config(),
                            processor=PROCESSOR)
    folder = os.path.join(os.path.dirname(original), "imported")
    code, out, err = tool("import", os.path.join(original, WEIGHTS), folder)
    assert code == 0 and "copy both to OUT" in out, (out, err)
    for name in (CONFIG, "preprocessor_config.json"):
        shutil.copy(os.path.join(original, name), folder)
    served_as(folder, original)


@case(own=None, seconds=60)
def a_prefix_of_all_tensors_does_not_matter():
    config = folders.config(RESNEXT)
    names = config["label_names"]
    wrapper = {**config, "label_names": [names[str(i)] for i in range(len(names))],
               "architectures": ["TimmWrapperForImageClassification"],
               "model_type": "timm_wrapper", "model_args": None, "do_pooling": True, "initializer_range": 0.02}
    for prefix in ("timm_model.", "module.", "_orig_mod.net."):
        folder = folders.make(prefix, renamed_weights(RESNEXT, lambda name: prefix + name), wrapper)
        served_as(folder, RESNEXT)


@case(own=None)
def a_prefix_of_some_tensors_is_refused():
    weights = renamed_weights(RESNEXT, lambda name: name if name == "fc.bias" else "model." + name)
    folder = folders.make("mixed", weights, folders.config(RESNEXT))
    code, _, err = tool("classify", folder, os.path.join(harness.DATA, "pictures"))
    assert code != 0 and 'has the prefix "model.", but tensor fc.bias does not' in err, err


@case(own=None)
def weights_in_other_forms_are_told_what_to_do():
    for name, words in (("pytorch_model.bin", "preprocessor_config.json of transformers are then to be copied"),
                        ("model.safetensors.index.json", "several files")):
        folder = folders.make(name, config=hugging_face_config(), processor=PROCESSOR)
        folders.remove(os.path.join(folder, WEIGHTS))
        folders.put(folder, name, b"x")
        code, _, err = tool("verify", folder)
        assert code != 0 and words in err and name in err, err


if __name__ == "__main__":
    harness.main()
