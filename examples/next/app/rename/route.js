import { revalidatePath } from "next/cache";
import { cache, contacts, forwarding, names } from "../../cache.mjs";

/** Changes a row, or says that something else has changed: `?id=7&name=Ada`, `?tag=news`, `?path=/news`. */
export async function POST(request) {
  const { searchParams } = new URL(request.url);
  const id = searchParams.get("id");
  const tag = searchParams.get("tag");
  const path = searchParams.get("path");
  if (id !== null) {
    names.set(Number(id), searchParams.get("name"));
    await contacts.invalidate(Number(id));
    await forwarding.flush();
  }
  if (tag !== null) await cache.invalidate({ tag });
  if (path !== null) revalidatePath(path);
  return new Response(null, { status: 204 });
}
