"""Damaged and lying model files, from a seed, and what loading one must come to.

    scripts/nightly files --count 100000 --seed 0

Each file loads as the network that was saved, or is refused by a ValueError; unverified, it may be
another network. Memory stays within what the file justifies.
"""

import argparse
import collections
import contextlib
import hashlib
import json
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

import fastbp

SHARE, SPARE = 64, 2**20
"""Bytes that loading may take: so many for each of the file's, and so many beside. JSON of empty
lists is 30 times as large when it is parsed, and parameters are padded to whole vectors."""

WEIGHTS = "layers.0.weight"


def networks():
    """What is saved: small, and together with everything that a file can hold."""
    plain = fastbp.Network([3, 5, 2], "tanh", "softmax", seed=0)
    rich = fastbp.Network(
        [4, 6, 6, 2], ["gelu", "relu"], seed=1, dtype="float64", layer_norm=True, residual=True
    )
    rich.set_scaling(input_mean=0.1, input_scale=[1, 2, 3, 4], target_mean=[1], target_scale=3)
    return plain, rich


def split(content):
    """(header as JSON, data) of a whole file."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def join(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def sign(header, data):
    """Make the checksum right again, as far as the header lets one."""
    metadata = header["__metadata__"]
    others = {key: text for key, text in metadata.items() if key != "sha256"}
    names = sorted(name for name in header if name != "__metadata__")
    entries = [header[name] for name in names]
    table = [[name, e["dtype"], e["shape"]] for name, e in zip(names, entries, strict=True)]
    text = json.dumps([others, table], sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode())
    for entry in entries:
        begin, end = entry["data_offsets"]
        digest.update(data[begin:end])
    metadata["sha256"] = digest.hexdigest()


# Ways to damage a file: functions of (rng, content, another content), which give its content


def truncated(rng, content, _):
    return content[: rng.integers(len(content))]


def extended(rng, content, _):
    return content + rng.bytes(rng.integers(1, 100))


def bits_flipped(rng, content, _):
    changed = bytearray(content)
    end = len(content) if rng.random() < 0.5 else 8 + int.from_bytes(content[:8], "little")
    for place in rng.integers(end, size=rng.integers(1, 9)):
        changed[place] ^= 1 << rng.integers(8)
    return bytes(changed)


def length_lies(rng, content, _):
    length = int(rng.integers(2**63)) >> int(rng.integers(63))
    return (length * 2 % 2**64).to_bytes(8, "little") + content[8:]


def page_lost(rng, content, _):
    begin, end = sorted(rng.integers(len(content) + 1, size=2))
    return content[:begin] + bytes(end - begin) + content[end:]


def page_of_another(rng, content, other):
    begin, end = sorted(rng.integers(min(len(content), len(other)) + 1, size=2))
    return content[:begin] + other[begin:end] + content[end:]


def header_of_another(_rng, content, other):
    return join(split(other)[0], split(content)[1])


def header_text_changed(rng, content, _):
    """A few characters of the header by ones that mean something in JSON."""
    header, data = split(content)
    text = bytearray(json.dumps(header).encode())
    for place in rng.integers(len(text), size=rng.integers(1, 4)):
        text[place] = rng.choice(list(b'{}[]",:0123456789-.eEtfn\\u '))
    return join(bytes(text), data)


def name_twice(rng, content, _):
    """In the header, the metadata or the description."""
    header, data = split(content)
    text = json.dumps(header)
    key = rng.choice([*header, "kind", "version", "dtype", "shape", r"\"sizes\"", r"\"dtype\""])
    quoted = key if key.startswith("\\") else f'"{key}"'
    values = '1, "model", "1", {}, [], {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}'
    value = rng.choice(values.split(", ", 5))
    value = value.replace('"', r"\"") if key.startswith("\\") else value
    place = text.index(f"{quoted}:")
    return join(f"{text[:place]}{quoted}: {value}, {text[place:]}".encode(), data)


def nested(rng, content, _):
    header, data = split(content)
    depth = int(rng.integers(1, 50_000))
    header["__metadata__"]["fastbp"] = depth * "[" + depth * "]"
    sign(header, data)
    return join(header, data)


def entry_lies(rng, content, _):
    """A tensor's dtype, shape or place, with a checksum that is right for it."""
    header, data = split(content)
    entry = header[rng.choice([name for name in header if name != "__metadata__"])]
    size = len(data)
    huge = [2**31, 2**32, 2**62, 2**63, 2**64, 10**30]
    lies = {
        "dtype": ["F16", "F32", "F64", "I64", "U8", "BOOL", "f4", "", "O"],
        "shape": [[], [0], [-1], [*entry["shape"][::-1], 1], [*entry["shape"], 1], [size], 1, None],
        "data_offsets": [[0, 0], [size, size], [0, size], [-4, 0], [4, 0], [0], [0, 4, 8], "0"],
    }
    lies["shape"] += [[n, *entry["shape"]] for n in (0, 2, *huge)] + [[n, n] for n in huge]
    lies["data_offsets"] += [[0, n] for n in huge] + [[n, n + 4] for n in huge]
    key = rng.choice(list(lies))
    old, entry[key] = entry[key], lies[key][rng.integers(len(lies[key]))]
    if entry[key] == old:
        del entry[key]
    return _signed_if_possible(header, data)


def _signed_if_possible(header, data):
    with contextlib.suppress(KeyError, TypeError, ValueError):  # no checksum is right for some lies
        sign(header, data)
    return join(header, data)


def tensors_swapped(rng, content, _):
    """Two of unequal form, signed; or of one form, with the old checksum."""
    header, data = split(content)
    names = [name for name in header if name != "__metadata__"]
    one, other = rng.choice(names, 2, replace=False)
    alike = all(header[one][key] == header[other][key] for key in ("dtype", "shape"))
    header[one], header[other] = header[other], header[one]
    if not alike:
        sign(header, data)
    return join(header, data)


def numbers_not_finite(rng, content, _):
    header, data = split(content)
    entry = header[rng.choice([name for name in header if name != "__metadata__"])]
    begin, end = entry["data_offsets"]
    array = np.frombuffer(data[begin:end], {"F32": "<f4", "F64": "<f8"}[entry["dtype"]]).copy()
    array[rng.integers(len(array))] = rng.choice([np.nan, np.inf, -np.inf])
    data = data[:begin] + array.tobytes() + data[end:]
    sign(header, data)
    return join(header, data)


def description_lies(rng, content, _):
    """What describes the network, with a checksum that is right for it; never another network."""
    header, data = split(content)
    meta = json.loads(header["__metadata__"]["fastbp"])
    sizes = meta["sizes"]
    lies = {
        "sizes": [[], [3], sizes[::-1], [*sizes, 1], [2**62, *sizes[1:]], [-n for n in sizes], "3"],
        "activations": [[], ["relu"], "relu", [1, 2, 3], ["os.system"] * (len(sizes) - 1), None],
        "dtype": ["float16", "object", "float3", None, 4],
        "layer_norm": [1, "true", None],
        "residual": [0, [], 1.0],
        "seed": [-1, 2**63, 1.5, "0", None, True],
        "more": [1],
    }
    key = rng.choice(list(lies))
    meta[key] = lies[key][rng.integers(len(lies[key]))]
    if rng.random() < 0.1:
        del meta[key]
    header["__metadata__"]["fastbp"] = json.dumps(meta)
    sign(header, data)
    return join(header, data)


def metadata_lies(rng, content, _):
    header, data = split(content)
    metadata = header["__metadata__"]
    key = rng.choice(list(metadata))
    metadata[key] = rng.choice(["", "0", "2", "checkpoint", "[]", "null", "{}", "x" * 100])
    if rng.random() < 0.2:
        del metadata[key]
    if key != "sha256":
        sign(header, data)
    return join(header, data)


WAYS = (
    truncated, extended, bits_flipped, length_lies, page_lost, page_of_another, header_of_another,
    header_text_changed, name_twice, nested, entry_lies, tensors_swapped, numbers_not_finite,
    description_lies, metadata_lies,
)  # fmt: skip


# What loading one comes to


class Trial:
    """The files of some networks, and what each predicts."""

    def __init__(self, folder):
        self.path = folder / "model.safetensors"
        self.contents, self.networks = [], networks()
        for net in self.networks:
            net.save(self.path)
            self.contents.append(self.path.read_bytes())

    def mutated(self, rng):
        """(way, which network, content)."""
        way, which = WAYS[rng.integers(len(WAYS))], int(rng.integers(len(self.contents)))
        return way, which, way(rng, self.contents[which], self.contents[which - 1])

    def load(self, verify):
        """The network, or None if it was refused; AssertionError if that took too much memory."""
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        try:
            net, said = fastbp.load(self.path, verify), str(self.path)
        except ValueError as error:
            net, said = None, str(error)
        assert str(self.path) in said, f"which file? {said}"
        taken = tracemalloc.get_traced_memory()[1] - before
        allowed = SHARE * self.path.stat().st_size + SPARE
        assert taken <= allowed, f"{taken} bytes, expected {allowed} at most"
        return net

    def run(self, seed):
        """Try the file of this seed: (way, "same", "refused" or, unverified, "another")."""
        way, which, content = self.mutated(np.random.default_rng(seed))
        self.path.write_bytes(content)
        try:
            verified, unverified = self.load(True), self.load(False)
            outcomes = self.outcome(verified, which), self.outcome(unverified, which)
            assert outcomes[0] != "another", "silently wrong"
            assert outcomes[0] == "refused" or outcomes[0] == outcomes[1]
        except BaseException as error:
            error.add_note(f"seed {seed}, {way.__name__} of network {which}")
            raise
        return way.__name__, *outcomes

    def outcome(self, net, which):
        if net is None:
            return "refused"
        return "same" if predictions(net) == predictions(self.networks[which]) else "another"


def predictions(net):
    X = np.linspace(-1, 1, 3 * net.sizes[0]).reshape(3, -1).astype(net.dtype)
    return net.predict(X).tobytes()


def run(folder, count, seed):
    """Try so many files: a count of what each way came to."""
    trial = Trial(folder)
    tracemalloc.start()
    try:
        return collections.Counter(trial.run((seed, i)) for i in range(count))
    finally:
        tracemalloc.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), asked.count, asked.seed)
    for (way, verified, unverified), count in sorted(found.items()):
        print(f"{way:20} {verified:8} unverified {unverified:8} {count:7}")
    print(f"{asked.count} files in {time.perf_counter() - start:.0f} s: none was silently wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main())
