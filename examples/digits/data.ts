/** Side of every image that the network sees, in pixels. */
export const SIDE = 14;
/** Pixels of such an image: the input size of the network. */
export const PIXELS = SIDE * SIDE;

/** Grey images of one square size, row by row, and the class of each. */
export interface ImageSet {
  /** count × side × side values of 0 … 255. */
  readonly pixels: Uint8Array;
  /** count classes. */
  readonly labels: Uint8Array;
}

/**
 * The values of an IDX file of bytes, the format of MNIST and Fashion-MNIST: 0, 0, 8 (unsigned bytes), the number of
 * dimensions, every dimension as a big-endian u32, then the values.
 * @throws Error when the file is something else or not whole.
 */
export function readIdx(file: Buffer): Uint8Array {
  if (file.length < 8 || file.readUInt16BE(0) !== 0 || file[2] !== 8) throw new Error('Not an IDX file of bytes');
  const dimensions = Array.from({ length: file[3]! }, (_, index) => file.readUInt32BE(4 + 4 * index));
  const start = 4 + 4 * dimensions.length;
  if (file.length !== start + dimensions.reduce((a, b) => a * b, 1)) throw new Error('The IDX file is not whole');
  return file.subarray(start);
}

/** Halves the sides of 28 × 28 images: every pixel becomes the mean of four, rounded. */
export function halve(pixels: Uint8Array): Uint8Array {
  const halved = new Uint8Array(pixels.length / 4);
  for (let target = 0; target < halved.length; target += 1) {
    // The index of a row of a halved image, over all images, is half that of the row it comes from.
    const source = 4 * SIDE * Math.floor(target / SIDE) + 2 * (target % SIDE);
    const lower = source + 2 * SIDE;
    halved[target] = (pixels[source]! + pixels[source + 1]! + pixels[lower]! + pixels[lower + 1]! + 2) >> 2;
  }
  return halved;
}

/** The value of an image at a point between its pixels, bilinear; 0 outside. `x` and `y` count from pixel centres. */
export function sample(pixels: Uint8Array, start: number, side: number, x: number, y: number): number {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const at = (column: number, row: number) =>
    column < 0 || row < 0 || column >= side || row >= side ? 0 : pixels[start + side * row + column]!;
  const mix = (a: number, b: number, share: number) => a + (b - a) * share;
  return mix(
    mix(at(left, top), at(left + 1, top), x - left),
    mix(at(left, top + 1), at(left + 1, top + 1), x - left),
    y - top,
  );
}

/** Makes 14 × 14 images of 0 … 255 of the 8 × 8 images of 0 … 16 of the UCI digits, bilinear. */
export function enlarge(pixels: Uint8Array): Uint8Array {
  const side = 8;
  const enlarged = new Uint8Array((pixels.length / (side * side)) * PIXELS);
  // Pixel centres; what lies beyond the outermost ones takes their value.
  const place = (index: number) => Math.min(Math.max(((index + 0.5) * side) / SIDE - 0.5, 0), side - 1);
  for (let target = 0; target < enlarged.length; target += 1) {
    const [image, pixel] = [Math.floor(target / PIXELS), target % PIXELS];
    const value = sample(pixels, image * side * side, side, place(pixel % SIDE), place(Math.floor(pixel / SIDE)));
    enlarged[target] = Math.round((value * 255) / 16);
  }
  return enlarged;
}

/** Every 14 × 14 image less its mean and divided by its standard deviation: what the network is fed. */
export function standardise(pixels: Uint8Array): Float32Array {
  const inputs = new Float32Array(pixels.length);
  for (let start = 0; start < pixels.length; start += PIXELS) {
    const image = pixels.subarray(start, start + PIXELS);
    const mean = image.reduce((sum, value) => sum + value, 0) / PIXELS;
    const variance = image.reduce((sum, value) => sum + (value - mean) ** 2, 0) / PIXELS;
    // A blank image stays blank.
    const deviation = Math.sqrt(variance) || 1;
    for (let pixel = 0; pixel < PIXELS; pixel += 1) inputs[start + pixel] = (image[pixel]! - mean) / deviation;
  }
  return inputs;
}

/** The images of `set` at these places, in this order. */
export function pick(set: ImageSet, places: readonly number[]): ImageSet {
  const size = set.pixels.length / set.labels.length;
  const pixels = new Uint8Array(places.length * size);
  for (const [index, place] of places.entries()) {
    pixels.set(set.pixels.subarray(place * size, (place + 1) * size), index * size);
  }
  return { pixels, labels: Uint8Array.from(places, (place) => set.labels[place]!) };
}
