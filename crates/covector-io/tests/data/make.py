"""Writes the npy and npz files of this folder with NumPy: python make.py (NumPy 2.4 made those committed)."""

import zipfile

import numpy as np

DTYPES = ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]


def counting(shape, dtype):
    """0, 1, 2, ... row by row; every second one true for bool."""
    x = np.arange(int(np.prod(shape))).reshape(shape)
    return (x % 2 == 1) if dtype == "?" else x.astype(dtype)


np.save("c_order.npy", counting((2, 3), "f4"))
np.save("fortran.npy", np.asfortranarray(counting((2, 3, 4), "f8")))
np.save("scalar.npy", np.array(-7, "i2"))
np.save("vector.npy", counting((5,), "u8"))
np.save("empty.npy", counting((3, 0, 2), "f4"))
for dtype in ["f2", "f4", "f8", "i4", "u2", "i8"]:
    np.save(f"big_endian_{dtype}.npy", counting((2, 3), ">" + dtype))
np.save("big_endian_fortran.npy", np.asfortranarray(counting((3, 2), ">i4")))
parts = np.array([[1 + 2j, -0.5j, 3], [np.inf * 1j, -4 - 5j, 0.25]])
np.save("complex64.npy", parts.astype("<c8"))
np.save("complex128.npy", parts.astype("<c16"))
np.save("big_endian_c8.npy", parts.astype(">c8"))
np.save("fortran_c16.npy", np.asfortranarray(parts))
with open("version_2.npy", "wb") as file:
    np.lib.format.write_array(file, counting((2, 3), "i4"), version=(2, 0))
with open("version_3.npy", "wb") as file:
    np.lib.format.write_array(file, counting((2, 3), "i4"), version=(3, 0))

# Kinds of data that are refused.
np.save("long_complex.npy", np.zeros(2, "c32"))
np.save("dates.npy", np.zeros(2, "M8[s]"))
np.save("text.npy", np.array(["a", "bc"]))
np.save("records.npy", np.zeros(2, [("a", "<f4"), ("b", "<i8")]))
np.save("void.npy", np.zeros(2, "V2"))
np.save("objects.npy", np.array([None, 1], object), allow_pickle=True)

np.savez("stored.npz", **{np.dtype(d).name: counting((2, 3), d) for d in DTYPES})
np.savez_compressed("deflated.npz", x=counting((4, 5), "f4"), fortran=np.asfortranarray(counting((4, 5), "i8")))
with zipfile.ZipFile("bzip2.npz", "w", zipfile.ZIP_BZIP2) as archive:
    with archive.open("x.npy", "w") as file:
        np.lib.format.write_array(file, counting((4,), "f4"))
with zipfile.ZipFile("foreign.npz", "w") as archive:
    archive.writestr("readme.txt", "not an array")
