/** The package, a dependency of `wrangler`, has no types: its default export is the runtime's path. */
declare module "workerd" {
  const exported: unknown;
  export default exported;
}
