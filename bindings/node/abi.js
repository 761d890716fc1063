'use strict';
// The C ABI as data: a package has abi.json, a copy of the repository's include/plexindex.json.

const { existsSync } = require('node:fs');

module.exports = require(existsSync(`${__dirname}/abi.json`) ? './abi.json' : '../../include/plexindex.json');
