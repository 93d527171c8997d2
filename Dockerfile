FROM node:24-slim AS build
WORKDIR /app
COPY package*.json .npmrc ./
RUN npm ci
COPY tsconfig*.json ./
COPY scripts ./scripts
COPY src ./src
RUN npm run build

FROM node:24-slim
WORKDIR /app
COPY package*.json .npmrc ./
RUN npm ci --omit=dev --omit=optional
COPY --from=build /app/dist ./dist
COPY examples ./examples
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
ENV NODE_ENV=production \
    QUARTERDECK_LISTEN=0.0.0.0:8080 \
    QUARTERDECK_SESSION_DB=/data/quarterdeck.db
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["node", "-e", "fetch('http://127.0.0.1:8080/health').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Start it with an init (`docker run --init`) that collects what the processes of tools leave behind.
# It ends at once, saying why, while QUARTERDECK_AUTH_TOKEN is not set.
ENTRYPOINT ["node", "dist/main.js", "serve"]
CMD ["examples"]
