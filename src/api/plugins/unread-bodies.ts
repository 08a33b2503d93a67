import fp from 'fastify-plugin';

/** Time for a client to see that it was refused and to stop sending; closing at once could take the answer from it. */
const LINGER_MS = 2_000;

/**
 * An upload that was refused half way leaves its connection paused with the rest of the body in it: the end of the client
 * would never be noticed, and the server could not close. The rest is dropped, for a while, and then the connection.
 */
export const unreadBodies = fp(
  async (app) => {
    app.addHook('onResponse', async ({ raw }) => {
      if (raw.complete) return;
      const { socket } = raw;
      raw.unpipe();
      raw.resume();
      setTimeout(() => raw.complete || socket?.destroy(), LINGER_MS).unref();
    });
  },
  { name: 'unread-bodies' },
);
