"""Files and figures for the tests of covector-data: tables read by pandas, scales by scikit-learn, images by Pillow.

Run with pandas, pyarrow, scikit-learn and Pillow: python goldens/data.py
"""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent
FOLDER = HERE.parent / "crates" / "covector-data" / "tests" / "data"
FOLDER.mkdir(parents=True, exist_ok=True)

TABLE = '''id,"a name",height,when
1,"O'Neil, Jo",1.5e2,2020
2,"said ""yes""",,2021
3,"two
lines",-0.25,2022
4,  plain  ,NA,
5,"",+7,2024
'''


def table(text: str, **options) -> dict:
    frame = pd.read_csv(io.StringIO(text), skipinitialspace=True, **options)
    strip = lambda x: x.strip() if isinstance(x, str) else x
    cells = {name: [None if pd.isna(x) else strip(x) for x in frame[name]] for name in frame}
    return {"text": text, "cells": cells}


def main() -> None:
    rng = np.random.default_rng(0)
    iris = load_iris()
    scaler = StandardScaler().fit(iris.data)
    noise = rng.integers(0, 256, (13, 17, 3), dtype=np.uint8)
    y, x = np.mgrid[0:24, 0:32]
    smooth = np.stack([x * 8, y * 10, (x + y) * 4], -1).clip(0, 255).astype(np.uint8)
    Image.fromarray(noise).save(FOLDER / "colours.png")
    Image.fromarray(noise[..., 0]).save(FOLDER / "grey.png")
    Image.fromarray(noise).quantize(16).save(FOLDER / "palette.png")
    alpha = np.concatenate([noise, noise[..., :1]], -1)
    Image.fromarray(alpha).save(FOLDER / "alpha.png")
    Image.fromarray((noise[..., 0].astype(np.uint16) * 257)).save(FOLDER / "sixteen.png")
    Image.fromarray(smooth).save(FOLDER / "colours.jpg", quality=90)
    Image.fromarray(smooth).save(FOLDER / "progressive.jpg", quality=90, progressive=True)
    Image.fromarray(smooth[..., 0]).save(FOLDER / "grey.jpg", quality=90)
    pictures = {}
    for file in sorted(FOLDER.glob("*.png")) + sorted(FOLDER.glob("*.jpg")):
        image = Image.open(file)
        if file.stem == "alpha":
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
        elif file.stem == "sixteen":
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        elif image.mode == "P":
            image = image.convert("RGB")
        pictures[file.name] = {"shape": list(np.asarray(image).shape), "bytes": np.asarray(image).ravel().tolist()}
    sizes = {
        f"{h}x{w}": np.asarray(Image.fromarray(noise).resize((w, h), Image.BILINEAR)).ravel().tolist()
        for h, w in [(5, 7), (26, 34), (13, 4), (30, 5), (1, 1)]
    }
    mixed = pd.DataFrame({
        "name": ["a", "b, c", None, 'd"'] * 25,
        "count": pd.array([1, None, -3, 2**60] * 25, dtype="Int64"),
        "size": np.where(np.arange(100) % 7 == 0, np.nan, rng.normal(size=100)),
        "single": rng.normal(size=100).astype(np.float32),
        "good": np.arange(100) % 2 == 0,
    })
    mixed.to_parquet(FOLDER / "table.parquet")
    mixed.assign(good=mixed["good"].map({True: "true", False: "false"})).to_csv(FOLDER / "table.csv", index=False)
    golden = {
        "tables": [table(TABLE), table(TABLE.replace("'Neil,", "'Neil;").replace(",", ";"), sep=";")],
        "iris": {"mean": scaler.mean_.tolist(), "std": scaler.scale_.tolist(), "sum": float(iris.data.sum())},
        "pictures": pictures,
        "resized": sizes,
    }
    (HERE / "data.json").write_text(json.dumps(golden) + "\n")


main()
