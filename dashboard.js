'use strict'

/**
 * A request handler for `http` and what is built on it, for these hosts beside addresses and `localhost`. `answer` gives the promise
 * of `{ status, headers, body }`; it is asked, and works, off the event loop.
 */
module.exports = (allowedHosts, answer) => (request, response, next) => {
  // In Express the mount point is `baseUrl`, and what lies below it is none of ours.
  if (request.baseUrl && next && request.url.split('?')[0] !== '/') return next()
  const { method, url, headers } = request
  answer({ method, url, headers, allowedHosts })
    .catch(({ message, code }) => ({ status: 503, headers: { 'Content-Type': 'text/plain' }, body: `${message} [${code}]\n` }))
    .then(({ status, headers: names, body }) => {
      // Whoever mounted this may have answered by itself meanwhile.
      if (response.headersSent) return
      // A backend that lets other sites read the rest of it does not mean this.
      response.removeHeader('Access-Control-Allow-Origin')
      response.writeHead(status, names)
      response.end(body)
    })
    // A response that cannot be written to, such as one that a middleware wrapped, must not end the backend.
    .catch((error) => (next ? next(error) : response.destroy?.(error)))
}
