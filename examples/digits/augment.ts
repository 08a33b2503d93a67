import { PIXELS, SIDE, sample } from './data.js';
import type { Random } from './random.js';

const MAX_TURN = Math.PI / 12;
const MAX_SHIFT = 1.5;
const SCALES = [0.9, 1.1] as const;

const between = (low: number, high: number, random: Random) => low + (high - low) * random();

/** The images, each turned by up to 15 degrees, shifted by up to 1.5 pixels and scaled by up to a tenth. */
export function augment(pixels: Uint8Array, random: Random): Uint8Array {
  const result = new Uint8Array(pixels.length);
  const centre = (SIDE - 1) / 2;
  for (let start = 0; start < pixels.length; start += PIXELS) {
    const turn = between(-MAX_TURN, MAX_TURN, random);
    const scale = between(...SCALES, random);
    const [cos, sin] = [Math.cos(turn) / scale, Math.sin(turn) / scale];
    const [shiftX, shiftY] = [between(-MAX_SHIFT, MAX_SHIFT, random), between(-MAX_SHIFT, MAX_SHIFT, random)];
    for (let pixel = 0; pixel < PIXELS; pixel += 1) {
      const [x, y] = [(pixel % SIDE) - centre, Math.floor(pixel / SIDE) - centre];
      const [fromX, fromY] = [cos * x - sin * y + centre + shiftX, sin * x + cos * y + centre + shiftY];
      result[start + pixel] = Math.round(sample(pixels, start, SIDE, fromX, fromY));
    }
  }
  return result;
}
