"""Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): writes random.json.

The generator is a keyed bijection of 128-bit counters. The known answers are those that Random123 publishes; they are
checked against the implementation below before they are written.
"""

import json
from pathlib import Path

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
MASK = 0xFFFFFFFF

# counter, key, output: words of 32 bits, the lowest first
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def philox4x32(counter: list[int], key: list[int], rounds: int = 10) -> list[int]:
    """The four output words for a counter of four words and a key of two."""
    c, k = list(counter), list(key)
    for _ in range(rounds):
        p0, p1 = MULTIPLIERS[0] * c[0], MULTIPLIERS[1] * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & MASK, (p0 >> 32) ^ c[3] ^ k[1], p0 & MASK]
        k = [(word + step) & MASK for word, step in zip(k, WEYL)]
    return c


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


if __name__ == "__main__":
    vectors = []
    for counter, key, output in KNOWN_ANSWERS:
        assert philox4x32(words(counter), words(key)) == words(output), output
        vectors.append({"counter": words(counter), "key": words(key), "output": words(output)})
    lines = ",\n".join(json.dumps(v, separators=(",", ":")) for v in vectors)
    head = '"generator":"philox4x32-10",\n"source":"Random123 known-answer vectors",\n'
    Path(__file__).with_name("random.json").write_text("{\n" + head + '"vectors":[\n' + lines + "\n]\n}\n")
    print(f"{len(vectors)} known answers agree")
