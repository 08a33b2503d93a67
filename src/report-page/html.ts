/** Markup that is safe to send as it is. */
export interface Html {
  readonly markup: string;
}

type Value = string | number | Html | readonly Html[];

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
/** XML and HTML know no way to write these. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const UNWRITABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;
/** Turns of the writing direction that a name could smuggle into the text around it. */
const BIDI = /[\u202a-\u202e\u2066-\u2069]/g;

/** Text for an element or a quoted attribute: names of tasks and tensors are the user's own. */
export function escapeText(text: string): string {
  return text
    .replace(UNWRITABLE, '\ufffd')
    .replace(BIDI, '\ufffd')
    .replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/** For markup that was made here, or by the plotting library. */
export const trusted = (markup: string): Html => ({ markup });

/** A template whose values are escaped unless they are markup themselves. */
export function html(parts: TemplateStringsArray, ...values: Value[]): Html {
  return trusted(parts.reduce((all, part, i) => all + write(values[i - 1]!) + part));
}

function write(value: Value): string {
  if (typeof value === 'string') return escapeText(value);
  if (typeof value === 'number') return String(value);
  if ('markup' in value) return value.markup;
  return value.map(({ markup }) => markup).join('');
}
