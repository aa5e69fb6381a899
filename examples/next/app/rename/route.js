import { revalidatePath, revalidateTag } from "next/cache";
import { cache, contacts, source } from "../../cache.mjs";

/** Changes a row, or says that something else has changed: `?id=7&name=Ada`, `?tag=news`, `?path=/news`, `?next=contacts`. */
export async function POST(request) {
  const { searchParams } = new URL(request.url);
  const id = searchParams.get("id");
  const tag = searchParams.get("tag");
  const path = searchParams.get("path");
  const next = searchParams.get("next");
  if (id !== null) {
    await fetch(`${source.url}contacts/${id}`, { method: "PUT", body: searchParams.get("name"), cache: "no-store" });
    await contacts.invalidate(Number(id));
  }
  if (tag !== null) await cache.invalidate({ tag });
  if (path !== null) revalidatePath(path);
  if (next !== null) revalidateTag(next, { expire: 0 });
  return new Response(null, { status: 204 });
}
