import { escapeText } from './html.js';

/**
 * The plotting library's drawing as a part of our page. Styles within it, which the page's Content-Security-Policy would
 * refuse, are left to the page's own; what its scripts would read goes; it gets a name for screen readers. The library
 * escapes quotes in text, so no text can look like an attribute.
 *
 * @param tip markup of what a square says where a pointer rests on it, by the index of its value
 */
export function cleanSvg(svg: string, title: string, tip?: (index: number) => string): string {
  const size = /^<svg width="([\d.]+)" height="([\d.]+)"/.exec(svg);
  if (!size) throw new Error('The plotting library has drawn no SVG.');
  const [, width, height] = size;
  const head = `<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeText(title)}">`;
  return svg
    .replace(/^<svg [^>]*>\s*<rect [^>]*fill="none"[^>]*><\/rect>/, head)
    .replace(/<style ?>.*?<\/style>/gs, '')
    .replace(/ (?:style|class|pointer-events|xml:space|ecmeta_(?!data_index)\w+)="[^"]*"/g, '')
    .replace(/<path ([^>]*)><\/path>/g, (_all, attributes: string) => {
      const [mark, index] = / ecmeta_data_index="(\d+)"/.exec(attributes) ?? [];
      if (mark === undefined) return `<path ${attributes}/>`;
      const plain = attributes.replace(mark, '');
      return tip ? `<path ${plain}><title>${tip(Number(index))}</title></path>` : `<path ${plain}/>`;
    })
    .replace(/\n\s*/g, '');
}
