import { cacheLife, cacheTag } from "next/cache";
import { contacts } from "../../../cache.mjs";

async function Contact({ id }) {
  "use cache";
  cacheLife("hours");
  // What invalidates the row invalidates what was rendered from it, in the same step.
  cacheTag(String(contacts.tag(id)), "contacts");
  const { name } = await contacts.get(id);
  return (
    <p>
      {name}, rendered {String(performance.now())}
    </p>
  );
}

// oxlint-disable-next-line import/no-default-export -- as in layout.js
export default async function Page({ params }) {
  const { id } = await params;
  return <Contact id={Number(id)} />;
}
