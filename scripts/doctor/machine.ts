/** Node.js, the engine, ports, open files. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { messageOf } from '../../node/base/errors.ts'
import { holderOf } from '../../node/datadir/datadir.ts'
import type { NodeOptions } from '../../node/options.ts'
import { type Finding, ok, warn, wrong } from './examine.ts'

const NODE_MAJOR_MIN = 22
const NODE_MINOR_MIN = 18
/** LevelDB keeps up to 1,000 files open, libp2p and RPC have their sockets. */
const OPEN_FILES_MIN = 4_096

export async function examineMachine(options: NodeOptions): Promise<Finding[]> {
  return [nodeVersion(), await engine(), openFiles(), ...(await ports(options))]
}

function nodeVersion(): Finding {
  const { node } = process.versions
  const [major = 0, minor = 0] = node.split('.').map(Number)
  if (major > NODE_MAJOR_MIN || (major === NODE_MAJOR_MIN && minor >= NODE_MINOR_MIN)) {
    return ok('node', `Node.js ${node}`)
  }
  const remedy = `use Node.js ${NODE_MAJOR_MIN}.${NODE_MINOR_MIN} or newer; the package's own is in node_modules/.bin/node`
  return wrong('node', `Node.js ${node} is too old`, remedy)
}

async function engine(): Promise<Finding> {
  try {
    const { capabilities } = await import('../../native/index.ts')
    const known = Object.entries(capabilities()).map(([name, value]) => `${name}=${value}`)
    return ok('engine', known.join(' '))
  } catch (error) {
    const remedy =
      "install the package for this platform (@openledger/native-*), or build it: 'npm run setup'"
    return wrong('engine', messageOf(error), remedy)
  }
}

function openFiles(): Finding {
  const limit = openFilesLimit()
  if (limit === null) return ok('open files', 'the limit cannot be read on this system')
  if (limit >= OPEN_FILES_MIN) return ok('open files', `${limit} allowed`)
  return warn(
    'open files',
    `only ${limit} allowed`,
    `raise the limit: ulimit -n ${OPEN_FILES_MIN}, or LimitNOFILE= in the unit`,
  )
}

/** The soft limit, as Linux says it. */
function openFilesLimit(): number | null {
  try {
    const line = readFileSync('/proc/self/limits', 'utf8').match(/^Max open files\s+(\S+)/m)
    const limit = line?.[1] === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(line?.[1])
    return Number.isFinite(limit) ? limit : null
  } catch {
    return null
  }
}

async function ports(options: NodeOptions): Promise<Finding[]> {
  const wanted: [name: string, host: string, port: number | null][] = [
    ['rpc-port', options.rpcHost, options.rpcPort],
    ['p2p-port', options.rpcHost, options.p2pPort],
    ['metrics-port', options.metricsHost, options.metricsPort],
    ['admin-port', options.adminHost, options.adminPort],
  ]
  const running = holderOf(options.dataDir)
  const findings: Finding[] = []
  for (const [name, host, port] of wanted) {
    if (port === null || port === 0) continue
    const problem = await tryPort(host, port)
    if (problem === null) findings.push(ok(name, `${host}:${port} is free`))
    else if (running) findings.push(ok(name, `${host}:${port} is taken, and this node is running`))
    else {
      const remedy = `stop what uses it (ss -ltnp 'sport = :${port}'), or choose another --${name}`
      findings.push(wrong(name, `cannot listen on ${host}:${port}: ${problem}`, remedy))
    }
  }
  return findings
}

function tryPort(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', (error) => resolve(messageOf(error)))
    probe.listen(port, host, () => probe.close(() => resolve(null)))
  })
}
