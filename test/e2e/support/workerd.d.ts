/** The package that `wrangler` brings along has no types: its main export is the runtime's path. */
declare module "workerd" {
  const exported: unknown;
  export default exported;
}
