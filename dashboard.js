'use strict'

/**
 * A request handler for Node's `http` and frameworks built on it. It accepts `allowedHosts` besides IP addresses and `localhost`. `answer`
 * resolves with `{ status, headers, body }`, computed off the event loop.
 */
module.exports = (allowedHosts, answer) => (request, response, next) => {
  // In Express, `baseUrl` is the mount point; paths below it belong to other handlers.
  if (request.baseUrl && next && request.url.split('?')[0] !== '/') return next()
  const { method, url, headers } = request
  answer({ method, url, headers, allowedHosts })
    .catch(({ message, code }) => ({ status: 503, headers: { 'Content-Type': 'text/plain' }, body: `${message} [${code}]\n` }))
    .then(({ status, headers: names, body }) => {
      // The backend may have answered itself meanwhile.
      if (response.headersSent) return
      // Even if the backend lets other sites read its routes, they must not read this page.
      response.removeHeader('Access-Control-Allow-Origin')
      response.writeHead(status, names)
      response.end(body)
    })
    // A response that cannot be written, for instance because a middleware wrapped it, must not end the backend.
    .catch((error) => (next ? next(error) : response.destroy?.(error)))
}
