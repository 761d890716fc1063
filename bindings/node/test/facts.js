'use strict';
// What the server of the tests has.

const rows = require('node:fs').readFileSync(process.env.PLEXINDEX_TEST_FACTS, 'utf8').trim().split('\n').map((line) => line.split('\t'));
const of = (kind) => rows.filter(([first]) => first === kind);

module.exports = {
  movies: of('movie').map(([, key, title, path]) => ({ key, title, path })),
  repeated: { name: of('repeated')[0][1], paths: of('repeated').map(([, , path]) => path) },
  show: { folder: of('show')[0][1], title: of('show')[0][2], paths: of('show').map(([, , , path]) => path) },
};
