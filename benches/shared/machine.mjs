// Describes the machine of a measurement.
import { cpus, loadavg, release, type } from 'node:os'

/** The machine in words, with its load before the measurement. */
export const aboutMachine = () =>
  `${cpus().length} × ${cpus()[0].model}, ${type()} ${release()}, Node ${process.version}, load average ${loadavg()[0].toFixed(1)} before`
