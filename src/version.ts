/** The version of all of this, as in package.json. */
export const VERSION = "0.1.0";
