// Compares the document with the last released one: node check.js
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { announced, breaking } = require('./breaking.js');

const read = (...parts) => JSON.parse(fs.readFileSync(path.join(__dirname, '..', ...parts), 'utf8'));
const numbers = (file) => file.replace(/\.json$/, '').split(/[.+-]/).map(Number);
const released = fs.readdirSync(path.join(__dirname, '..', 'released')).filter((file) => file.endsWith('.json'))
  .sort((one, other) => {
    const [a, b] = [numbers(one), numbers(other)];
    return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
  });
if (released.length === 0) {
  console.error('openapi/released has no document to compare with');
  process.exit(1);
}
const [before, after] = [read('released', released[released.length - 1]), read('openapi.json')];
const [then, now] = [before.info.version, after.info.version];
const found = breaking(before, after);
if (found.length === 0) {
  console.log(`nothing of ${then} is broken`);
} else if (announced(then, now)) {
  console.log(`${found.length} changes break ${then}, as ${now} says`);
} else {
  console.error(found.join('\n'));
  console.error(`${found.length} changes break ${then}: mend them, or let the version of the workspace say so (now ${now})`);
  process.exit(1);
}
