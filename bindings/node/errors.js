'use strict';

/**
 * Each failure but a wrong type, which is a TypeError. `code` is the name of the status, such as 'LIBRARY_NOT_FOUND', or
 * 'CLOSED' or 'NOT_INSTALLED', which are of this package; then `status`, its number, is null.
 */
class PlexindexError extends Error {
  constructor(code, message, status = null) {
    super(message);
    this.name = 'PlexindexError';
    this.code = code;
    this.status = status;
  }
}

module.exports = { PlexindexError };
