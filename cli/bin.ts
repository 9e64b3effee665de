#!/usr/bin/env node
/**
 * The first file that runs. It imports nothing and keeps to syntax that old versions of Node parse,
 * so that they can still say which version is needed; the program itself is loaded after that.
 */
const NEEDED_MAJOR = 24
const EXIT_NODE_TOO_OLD = 8

const major = Number(process.versions.node.split('.')[0])
if (major < NEEDED_MAJOR) {
  process.stderr.write(
    `millrace needs Node.js ${NEEDED_MAJOR} or newer and this is ${process.version}. ` +
      `Install it from https://nodejs.org, or put it beside millrace: npm install node@^${NEEDED_MAJOR}\n`,
  )
  process.exitCode = EXIT_NODE_TOO_OLD
} else {
  void import('./start.ts').then(({ start }) => start())
}
