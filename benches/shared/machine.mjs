// What a page says of the machine that it was measured on.
import { cpus, loadavg, release, type } from 'node:os'

/** The machine in words, as it is before the measurement. */
export const aboutMachine = () =>
  `${cpus().length} × ${cpus()[0].model}, ${type()} ${release()}, Node ${process.version}, load average ${loadavg()[0].toFixed(1)} before`
