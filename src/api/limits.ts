/** What a request may have, before anybody looks at what it says. */

/** Parts of one multipart upload: a checkpoint's files and its name, and one file more, which is refused as what it is. */
export const formParts = (files: number) => files + 2;

/** The name, and one more that can be refused as what it is: a form has no other field. */
export const MAX_FORM_FIELDS = 2;

/** A name has 96 characters; what is longer is cut there, and refused. */
export const MAX_FIELD_BYTES = 1024;

/**
 * Requests of one connection that wait for their answers: HTTP lets a client send them one behind the other, and all begin at
 * once. Clients that do so at all have a few under way; without a bound the limit of connections would bound nothing.
 */
export const MAX_OPEN_ANSWERS = 16;

/** Of one segment of an address: names of files have 200 characters, and encoded ones may be longer. */
export const MAX_PARAM_LENGTH = 300;
