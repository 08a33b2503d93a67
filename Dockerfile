# One image, two commands: the API (default) and `node dist/workers/merge-worker.js`.

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json ./
COPY scripts ./scripts
COPY workers ./workers
COPY src ./src
RUN node scripts/build.mjs && npm prune --omit=dev

FROM node:24-bookworm-slim
# The last two: "Sizing" in docs/operations.md.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 EMR_DATA_DIR=/data NODE_OPTIONS=--max-semi-space-size=2 MALLOC_ARENA_MAX=2
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# A named volume takes the owner of the folder that it is mounted on.
RUN mkdir /data && chown 1000:1000 /data
# The image's user `node`, as a number, so that Kubernetes can see that it is not root.
USER 1000:1000
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then(({ok}) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# HOST is not loopback, so the API refuses to start without a key.
CMD ["node", "dist/src/main.js"]
