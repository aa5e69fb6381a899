// oxlint-disable-next-line import/no-default-export -- Next.js takes a page by its default export
export default function Layout({ children }) {
  return (
    <html lang="en">
      <body>{children}</body>
    </html>
  );
}
