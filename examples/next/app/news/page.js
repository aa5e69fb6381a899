import { source } from "../../cache.mjs";

export const revalidate = 3600;

// oxlint-disable-next-line import/no-default-export -- as in layout.js
export default async function Page() {
  const response = await fetch(`${source.url}news`, { next: { tags: ["news"], revalidate: 3600 } });
  return (
    <p>
      {await response.text()}, rendered {String(performance.now())}
    </p>
  );
}
