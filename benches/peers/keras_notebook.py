"""The "first look at a neural network" of Keras's book, as its reader runs it; only the data comes from a folder.

Timed as a whole process: imports, loading, compiling, five epochs, evaluation.
"""

import argparse
import gzip
import os
import pathlib

import numpy as np

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data-dir", type=pathlib.Path, required=True, help="folder with mnist/ and fashion-mnist/")
parser.add_argument("--backend", default="tensorflow")
given = parser.parse_args()
os.environ["KERAS_BACKEND"] = given.backend

import keras
from keras import layers


def load_idx(name):
    path = given.data_dir / "mnist" / name
    raw = path.read_bytes() if path.exists() else gzip.open(f"{path}.gz").read()
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3])


train_images = load_idx("train-images-idx3-ubyte").reshape((60000, 28, 28))
train_labels = load_idx("train-labels-idx1-ubyte")
test_images = load_idx("t10k-images-idx3-ubyte").reshape((10000, 28, 28))
test_labels = load_idx("t10k-labels-idx1-ubyte")

model = keras.Sequential([
    layers.Dense(512, activation="relu"),
    layers.Dense(10, activation="softmax"),
])
model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy", metrics=["accuracy"])

train_images = train_images.reshape((60000, 28 * 28))
train_images = train_images.astype("float32") / 255
test_images = test_images.reshape((10000, 28 * 28))
test_images = test_images.astype("float32") / 255

model.fit(train_images, train_labels, epochs=5, batch_size=128)

test_loss, test_acc = model.evaluate(test_images, test_labels)
print(f"test_acc: {test_acc}")
