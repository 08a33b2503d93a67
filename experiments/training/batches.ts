import { augment } from '../../examples/digits/augment.js';
import { type ImageSet, PIXELS, pick, standardise } from '../../examples/digits/data.js';
import { type Random, shuffled } from '../../examples/digits/random.js';
import type { Examples } from '../suites/images.js';

/** Gives the next `size` examples. */
export type Batches = (size: number) => Examples;

/** Places of `count` examples from shuffled passes over all of them. */
export function drawPlaces(count: number, random: Random): (size: number) => number[] {
  let queue: number[] = [];
  return (size) => {
    while (queue.length < size) queue = queue.concat(shuffled(count, random));
    return queue.splice(0, size);
  };
}

/** Batches of examples as they are. */
export function plainBatches(examples: Examples, random: Random): Batches {
  const draw = drawPlaces(examples.labels.length, random);
  return (size) => {
    const places = draw(size);
    const inputs = new Float32Array(size * PIXELS);
    for (const [row, place] of places.entries()) {
      inputs.set(examples.inputs.subarray(place * PIXELS, (place + 1) * PIXELS), row * PIXELS);
    }
    return { inputs, labels: Uint8Array.from(places, (place) => examples.labels[place]!) };
  };
}

/** Batches of images that are turned, shifted and scaled at random. */
export function augmentedBatches(images: ImageSet, random: Random): Batches {
  const draw = drawPlaces(images.labels.length, random);
  return (size) => {
    const batch = pick(images, draw(size));
    return { inputs: standardise(augment(batch.pixels, random)), labels: batch.labels };
  };
}
