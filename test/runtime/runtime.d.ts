/** Types of `exports` and `env` of "cloudflare:workers" in tests. */
declare namespace Cloudflare {
  interface GlobalProps {
    mainModule: typeof import("../../src/worker.ts");
    durableNamespaces: "Channel";
  }
}
