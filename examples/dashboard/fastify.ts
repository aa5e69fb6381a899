import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Admin } from "tiercache/admin";

export async function fastifyApp(admin: Admin): Promise<FastifyInstance> {
  const app = fastify();
  await app.register(async (scope) => {
    // The admin side reads bodies itself.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", (_request, _payload, done) => done(null));
    const answer = (request: FastifyRequest, reply: FastifyReply): void => {
      reply.hijack();
      admin.handler(request.raw, reply.raw);
    };
    scope.all("/cache", answer);
    scope.all("/cache/*", answer);
  });
  app.get("/own", () => "own");
  return app;
}
