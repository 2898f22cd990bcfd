#!/usr/bin/python3
"""Writes the seeds of fuzz_oip. usage: make_oip_seeds.py FOLDER"""
import base64
import json
import os
import struct
import sys

SIZE, NO_HEADER = 4, 0xffff
NUMBERS = [round(0.37 * i - 8, 2) for i in range(3 * SIZE * SIZE)]


def tensor(images=1, **more):
    return {"name": "input", "datatype": "FP32", "shape": [images, 3, SIZE, SIZE], **more}


def image(shape, **more):
    return {"name": "image", "datatype": "BYTES", "shape": shape, **more}


def nested(numbers, shape):
    if not shape:
        return numbers[0]
    step = len(numbers) // shape[0]
    return [nested(numbers[i * step:], shape[1:]) if len(shape) > 1 else numbers[i]
            for i in range(shape[0])]


def plain(text):
    return struct.pack("<H", NO_HEADER) + (text if isinstance(text, bytes) else json.dumps(text).encode())


def mixed(envelope, tail):
    head = json.dumps(envelope).encode()
    return struct.pack("<H", len(head)) + head + tail


def elements(*items):
    return b"".join(struct.pack("<I", len(i)) + i for i in items)


def seeds():
    jpeg = b"\xff\xd8\xff\xd9"
    text = base64.b64encode(jpeg).decode()
    floats = struct.pack(f"<{len(NUMBERS)}f", *NUMBERS)
    yield "flat", plain({"id": "a", "inputs": [tensor(data=NUMBERS)]})
    yield "nested", plain({"inputs": [tensor(2, data=nested(NUMBERS * 2, [2, 3, SIZE, SIZE]))]})
    yield "binary", mixed({"inputs": [tensor(parameters={"binary_data_size": len(floats)})],
                           "parameters": {"binary_data_output": True}}, floats)
    yield "base64", plain({"inputs": [image([2], parameters={"content_type": "b64"}, data=[text, text])]})
    yield "base64_nested", plain({"inputs": [image([2, 1], data=[[text], [text]])]})
    yield "escapes", plain(json.dumps({"inputs": [image([1], data=["++//"])]})
                           .replace("/", "\\/").replace("+", "\\u002B").encode())
    yield "jpegs", mixed({"inputs": [image([2], parameters={"binary_data_size": 4 * 2 + 6})]},
                         elements(jpeg, b"ab"))
    yield "classification", plain({"inputs": [tensor(data=NUMBERS)], "outputs": [
        {"name": "logits", "parameters": {"classification": 2}},
        {"name": "probabilities", "parameters": {"binary_data": True, "classification": 3}}]})
    yield "outputs", plain({"inputs": [tensor(data=NUMBERS)], "outputs": [
        {"name": "logits", "parameters": {"binary_data": True}}, {"name": "probabilities"}]})
    yield "numbers", plain(b'{"inputs":[{"name":"input","datatype":"FP32","shape":[1,3,4,4],"data":[' +
                           b",".join([b"-0", b"0.1e-3", b"1E+2", b"123456789012345678901", b"3.4e38",
                                      b"1e-50"] + [b"7"] * 42) + b"]}]}")
    yield "raw", struct.pack("<H", 0) + jpeg
    yield "raw_json", struct.pack("<H", 0) + b"{}"
    yield "nulls", plain({"id": None, "parameters": None, "outputs": None, "inputs": [
        image([1], parameters={"content_type": None}, data=[text])]})
    yield "data_null", mixed({"inputs": [image([1], data=None, parameters={"binary_data_size": 8})]},
                             elements(jpeg))
    yield "base64_lines", plain({"inputs": [image([2], data=["_9j_\r\n2Q", "/9j/\n2Q==\n"])]})
    yield "base64_wrong", plain({"inputs": [image([1], data=["data:image/jpeg;base64,/9j/2Q=="])]})
    yield "all_classes", plain({"inputs": [tensor(data=NUMBERS)], "outputs": [
        {"name": "logits", "parameters": {"classification": 1 << 40}}]})
    yield "twice", plain(b'{"inputs":[{"data":[1],"data":[2]}]}')
    yield "escaped_key", plain(b'{"inputs":[{"d\\u0061ta":[1]}]}')
    yield "deep", plain(b"[" * 40)
    yield "unfinished", plain(b'{"inputs":[{"data":[[["a')
    yield "header_too_long", struct.pack("<H", 500) + b"{}"


def main():
    for name, data in seeds():
        with open(os.path.join(sys.argv[1], name), "wb") as file:
            file.write(data)


main()
