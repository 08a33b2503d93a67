/** Writes the generated parts of docs/ from the code; `--check` only says whether they are up to date. */
import { readFileSync, writeFileSync } from 'node:fs';
import { ERRORS } from '../errors.js';
import { describeMethods } from '../merge/registry.js';
import { limits } from './limits.js';

const GENERATED = /(<!-- generated: [^>]*-->\n).*?(\n<!-- end of generated -->)/s;

/** Each document with a generated part, and what belongs there. */
export const PARTS: Record<string, () => string> = {
  'docs/errors.md': renderErrors,
  'docs/methods.md': renderMethods,
  'docs/operations.md': () => table(['limit', 'value', 'beyond it'], limits()),
};

/** `text` with the generated part between its two marks replaced. */
export function replacePart(text: string, part: string): string {
  if (!GENERATED.test(text)) throw new Error('The document has no part marked as generated.');
  return text.replace(GENERATED, (_all, before: string, after: string) => `${before}\n${part}\n${after}`);
}

/** A Markdown table as the formatter has it: columns padded to their widest cell. */
function table(head: string[], rows: string[][]): string {
  const cells = [head, head.map(() => ''), ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => row[column]!.length)));
  const line = (row: string[], fill: string) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!, fill)).join(' | ')} |`;
  return cells.map((row, index) => line(row, index === 1 ? '-' : ' ')).join('\n');
}

/** Every code has an anchor of its own name, since `type` of a problem points there. */
export function renderErrors(): string {
  const rows = Object.entries(ERRORS).map(([code, { status, retry, title }]) => [
    `<a id="${code}"></a>\`${code}\``,
    String(status),
    retry ? 'yes' : 'no',
    title.replace(/__\w+__/g, '`$&`'), // else Markdown takes it for bold
  ]);
  return table(['code', 'status', 'retry', 'meaning'], rows);
}

export function renderMethods(): string {
  const output = { modulated: 'u, and a mask and rescalers for each task', model: 'one model for all tasks' };
  return describeMethods()
    .map((method) => {
      const { properties = {} } = method.parameters;
      const rows = Object.entries(properties)
        .filter(([name]) => name !== 'type')
        .map(([name, schema]) => [`\`${name}\``, ...describe(schema as Schema)]);
      const parameters = rows.length > 0 ? `\n\n${table(['parameter', 'values', 'default', 'meaning'], rows)}` : '';
      return `### \`${method.type}\`\n\n${method.title}. [Paper](${method.paper}). Makes ${output[method.output]}.${parameters}`;
    })
    .join('\n\n');
}

/** What is used here of a JSON schema. */
interface Schema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly const?: string;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly default?: unknown;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly properties?: Record<string, Schema>;
  readonly additionalProperties?: Schema | boolean;
}

function describe(schema: Schema): [values: string, fallback: string, meaning: string] {
  const fallback = schema.default === undefined ? '' : `\`${JSON.stringify(schema.default)}\``;
  return [valuesOf(schema), fallback, schema.description ?? ''];
}

function valuesOf(schema: Schema): string {
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(' ');
  if (schema.items) return `list of ${valuesOf(schema.items)}`;
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map(valuesOf).join(' or ');
  if (schema.properties?.type?.const) return `\`${schema.properties.type.const}\``; // a method, described on its own
  if (schema.properties)
    return `{${Object.entries(schema.properties)
      .map(([name, of]) => `${name}: ${valuesOf(of)}`)
      .join(', ')}}`;
  if (typeof schema.additionalProperties === 'object') return `{name: ${valuesOf(schema.additionalProperties)}}`;
  const { type = 'any', minimum, maximum } = schema;
  if (minimum === undefined) return type;
  return maximum === undefined ? `${type} ≥ ${minimum}` : `${type}, ${minimum} … ${maximum}`;
}

if (process.argv[1]?.endsWith('docs.js')) {
  for (const [file, render] of Object.entries(PARTS)) {
    const text = readFileSync(file, 'utf8');
    const current = replacePart(text, render());
    if (text === current) continue;
    if (!process.argv.includes('--check')) writeFileSync(file, current);
    else {
      process.stderr.write(`${file} is not what the code says: run node dist/src/cli/docs.js after a build.\n`);
      process.exitCode = 1;
    }
  }
}
