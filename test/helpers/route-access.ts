/** What every route of openapi.yaml answers to its owner and to a stranger: the table that the access matrix walks. */
import type { KeyScope } from '../../src/scopes.js';
import type { CallOptions } from './server.js';

/** Ids that are known only when a test has made them. */
export interface Ids {
  readonly merge: string;
  readonly batch: string;
  readonly job: string;
}

export interface RouteAccess {
  /** As in openapi.yaml. */
  readonly route: string;
  readonly scope: KeyScope | 'open';
  /** The address of something of the owner's. */
  readonly path: (ids: Ids) => string;
  readonly options?: (() => CallOptions) | undefined;
  /** To a key of the namespace that has the scope. */
  readonly own: number;
  /** To such a key of another namespace: the status, and the problem's code or a piece of the answer. */
  readonly other: readonly [status: number, says?: string];
}

const merge = { base: 'base', tasks: [{ name: 'task', checkpoint: 'tuned' }], exclude: ['head.*'], name: 'other-name' };
const job = { type: 'evaluate', model: { checkpoint: 'tuned' }, dataset: 'base' };
const json = (body: unknown) => () => ({ json: body });
const form = () => {
  const body = new FormData();
  body.append('name', 'base');
  body.append('file', new Blob(['{}']), 'config.json');
  return { body };
};

const open = (path: string): RouteAccess => ({
  route: `GET ${path}`,
  scope: 'open',
  path: () => path,
  own: 200,
  other: [200],
});
const list = (path: string, nothing: string): RouteAccess => ({
  route: `GET ${path}`,
  scope: 'read',
  path: () => path,
  own: 200,
  other: [200, nothing],
});

/** Something of the owner's: to others it does not exist. */
const one = (
  scope: KeyScope,
  route: string,
  path: RouteAccess['path'],
  own: number,
  code: string,
  options?: () => CallOptions,
): RouteAccess => ({ route, scope, path, own, other: [404, code], options });

const NO_ITEMS = '{"items":[]}';
const OF_MERGE = '/v1/merges/{id}';
const OF_TASK = '/v1/merges/{id}/tasks/{task}';
const TASK = '/v1/merges/own/tasks/task';
const get = (route: string, path: RouteAccess['path'], code: string) => one('read', `GET ${route}`, path, 200, code);
const download = (route: string, path: RouteAccess['path']) => [
  one('read', `GET ${route}`, path, 200, 'unknown_merge'),
  one('read', `HEAD ${route}`, path, 200, 'unknown_merge'),
];

/** In an order in which each can be asked: what deletes comes last. */
export const ROUTES: readonly RouteAccess[] = [
  open('/healthz'),
  open('/readyz'),
  list('/v1/methods', '"type":"emr"'),
  list('/v1/checkpoints', NO_ITEMS),
  list('/v1/merges', NO_ITEMS),
  list('/v1/jobs', NO_ITEMS),
  get('/v1/checkpoints/{name}', () => '/v1/checkpoints/base', 'unknown_checkpoint'),
  get(OF_MERGE, ({ merge: id }) => `/v1/merges/${id}`, 'unknown_merge'),
  get(`${OF_MERGE}/events`, () => '/v1/merges/own/events', 'unknown_merge'),
  get(`${OF_MERGE}/evaluations`, () => '/v1/merges/own/evaluations', 'unknown_merge'),
  get(`${OF_MERGE}/report`, () => '/v1/merges/own/report', 'unknown_merge'),
  get(`${OF_MERGE}/files`, ({ merge: id }) => `/v1/merges/${id}/files`, 'unknown_merge'),
  get(`${OF_TASK}/files`, () => `${TASK}/files`, 'unknown_merge'),
  ...download(`${OF_MERGE}/files/{*}`, ({ merge: id }) => `/v1/merges/${id}/files/report.json`),
  ...download(`${OF_MERGE}/model.safetensors`, () => '/v1/merges/average/model.safetensors'),
  ...download(`${OF_TASK}/model.safetensors`, () => `${TASK}/model.safetensors`),
  ...download(`${OF_TASK}/files/{file}`, () => `${TASK}/files/model.safetensors`),
  get('/v1/batches/{id}', ({ batch }) => `/v1/batches/${batch}`, 'unknown_batch'),
  get('/v1/batches/{id}/results', ({ batch }) => `/v1/batches/${batch}/results`, 'unknown_batch'),
  get('/v1/jobs/{id}', ({ job: id }) => `/v1/jobs/${id}`, 'unknown_job'),
  get('/v1/jobs/{id}/events', ({ job: id }) => `/v1/jobs/${id}/events`, 'unknown_job'),
  one('read', 'POST /v1/merges/plan', () => '/v1/merges/plan', 200, 'unknown_checkpoint', json(merge)),
  one('read', `POST ${OF_MERGE}/verify`, () => '/v1/merges/own/verify', 200, 'unknown_merge'),
  one('read', 'POST /v1/checkpoints/{name}/verify', () => '/v1/checkpoints/base/verify', 200, 'unknown_checkpoint'),
  one('write', 'POST /v1/merges', () => '/v1/merges', 200, 'unknown_checkpoint', json(merge)),
  {
    route: 'POST /v1/batches',
    scope: 'write',
    path: () => '/v1/batches',
    options: json({ merges: [merge] }),
    own: 202,
    other: [422, 'batch_refused'],
  },
  one('write', 'POST /v1/jobs', () => '/v1/jobs', 422, 'unknown_checkpoint', json(job)),
  one('write', `POST ${OF_MERGE}/cancel`, () => '/v1/merges/own/cancel', 409, 'unknown_merge'),
  one('write', 'POST /v1/jobs/{id}/cancel', ({ job: id }) => `/v1/jobs/${id}/cancel`, 409, 'unknown_job'),
  // Names belong to a namespace: the stranger gets a checkpoint of that name of its own.
  {
    route: 'POST /v1/checkpoints',
    scope: 'write',
    path: () => '/v1/checkpoints',
    options: form,
    own: 409,
    other: [422, 'checkpoint_empty'],
  },
  {
    route: 'PUT /v1/checkpoints/{name}/files/{file}',
    scope: 'write',
    path: () => '/v1/checkpoints/put/files/config.json',
    options: () => ({ body: '{}' }),
    own: 200,
    other: [200, 'config.json'],
  },
  {
    route: 'POST /v1/checkpoints/{name}/complete',
    scope: 'write',
    path: () => '/v1/checkpoints/base/complete',
    own: 409,
    other: [404, 'unknown_checkpoint'],
  },
  one('admin', 'DELETE /v1/jobs/{id}', ({ job: id }) => `/v1/jobs/${id}`, 204, 'unknown_job'),
  one('admin', `DELETE ${OF_MERGE}`, ({ merge: id }) => `/v1/merges/${id}`, 204, 'unknown_merge'),
  one('admin', 'DELETE /v1/checkpoints/{name}', () => '/v1/checkpoints/tuned', 204, 'unknown_checkpoint'),
];
