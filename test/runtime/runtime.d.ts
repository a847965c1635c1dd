/** What `exports` and `env` of "cloudflare:workers" are in tests. */
declare namespace Cloudflare {
  interface GlobalProps {
    mainModule: typeof import("../../src/worker.ts");
    durableNamespaces: "Channel";
  }
}
