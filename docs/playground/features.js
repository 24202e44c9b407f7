"use strict";

// A small network with fixed weights, so that there is a feature map of a real image to drop from: edges in eight
// directions, ReLU, a blur as a second layer's, and max pooling to the map's size.

const DIRECTIONS = ["right", "lower right", "bottom", "lower left", "left", "upper left", "top", "upper right"];

/** The brightness of each pixel of an image, 0 to 1. */
function brightness(image) {
  const canvas = element("canvas", { width: image.width, height: image.height });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0);
  const { data } = pen.getImageData(0, 0, image.width, image.height);
  const grey = new Float32Array(image.width * image.height);
  for (let i = 0; i < grey.length; i++) {
    const [red, green, blue] = data.subarray(4 * i);
    grey[i] = (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
  }
  return { grey, width: image.width, height: image.height };
}

/** A filter over an image; the border repeats outwards. `weights` are rows of an odd square. */
function convolve({ grey, width, height }, weights) {
  const reach = weights.length >> 1;
  const inside = (i, size) => Math.min(Math.max(i, 0), size - 1);
  const out = new Float32Array(grey.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      weights.forEach((row, j) =>
        row.forEach((weight, i) => {
          sum += weight * grey[inside(y + j - reach, height) * width + inside(x + i - reach, width)];
        }),
      );
      out[y * width + x] = sum;
    }
  }
  return { grey: out, width, height };
}

/** A filter of 5 x 5 weights that answers to brightness growing towards an angle (0 is right, 90 degrees is down). */
function edgeFilter(angle) {
  const places = [-2, -1, 0, 1, 2];
  const weight = (x, y) => (x * Math.cos(angle) + y * Math.sin(angle)) * Math.exp(-(x * x + y * y) / 2);
  return places.map((y) => places.map((x) => weight(x, y)));
}

const BLUR = Array(7).fill(Array(7).fill(1 / 49));

/** What the filters see, before pooling: one image for each direction, never negative. */
function featuresOf(image) {
  const bright = brightness(image);
  return DIRECTIONS.map((_, direction) => {
    const edges = convolve(bright, edgeFilter((direction * Math.PI) / 4));
    edges.grey = edges.grey.map((x) => Math.max(x, 0)); // ReLU
    return convolve(edges, BLUR);
  });
}

/** Max pooling to a map of any size, then scaled so that the largest unit is 1. */
function pool({ grey, width, height }, [rows, columns]) {
  const activation = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let y = Math.floor((row * height) / rows); y < ((row + 1) * height) / rows; y++) {
        for (let x = Math.floor((column * width) / columns); x < ((column + 1) * width) / columns; x++) {
          activation[row * columns + column] = Math.max(activation[row * columns + column], grey[y * width + x]);
        }
      }
    }
  }
  const largest = Math.max(...activation) || 1;
  return activation.map((x) => x / largest);
}
