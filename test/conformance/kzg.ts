/**
 * The KZG vectors of c-kzg-4844 against what this node computes with: every function of the native library, and our
 * own above and beside it (point evaluation in `node/chain/kzg.ts`; commitments, proofs and sidecars in
 * `node/l1/kzg.ts`). `output: null` means that the call must fail.
 *
 *   node test/conformance/kzg.ts [--archive FILE.tar.xz] [--only TEXT]
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { DasContextJs } from '@crate-crypto/node-eth-kzg'
import { fromHex, type Hex, toHex } from '../../node/base/bytes.ts'
import { verifyKzgProof } from '../../node/chain/kzg.ts'
import { type BlobSidecar, proveBlob, verifySidecar } from '../../node/l1/kzg.ts'
import { parseVector } from './vector-yaml.ts'

export const ARCHIVE: string = resolve(
  import.meta.dirname,
  '../../../shared/conformance/kzg/c-kzg-4844-tests.tar.xz',
)

type Input = {
  readonly blob: Hex
  readonly blobs: readonly Hex[]
  readonly commitment: Hex
  readonly commitments: readonly Hex[]
  readonly z: Hex
  readonly y: Hex
  readonly proof: Hex
  readonly proofs: readonly Hex[]
  readonly cells: readonly Hex[]
  readonly cell_indices: readonly number[]
}
type Vector = { readonly input: Input; readonly output: unknown }
/** The answer as it stands in the vectors; a throw is `null`. */
type Run = (input: Input) => unknown

export type KzgCount = { readonly name: string; passed: number; readonly faults: string[] }

/** Of functions of ours that do not tell a failing call from a wrong proof. */
const NO = false
const SKIP = Symbol('not for this function')

/** Internal functions of c-kzg, which the library does not export. */
const NOT_EXPORTED: ReadonlySet<string> = new Set([
  'compute_challenge',
  'compute_verify_cell_kzg_proof_batch_challenge',
])

export async function runKzg(archive: string = ARCHIVE, only = ''): Promise<KzgCount[]> {
  const folder = mkdtempSync(join(tmpdir(), 'openledger-kzg-'))
  try {
    const tar = spawnSync('tar', ['-xJf', archive, '-C', folder], { encoding: 'utf8' })
    if (tar.status !== 0) throw new Error(`cannot unpack ${archive}: ${tar.stderr}`)
    return await runFolder(join(folder, 'tests'), only)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function runFolder(tests: string, only: string): Promise<KzgCount[]> {
  const runs = createRuns()
  const counts: KzgCount[] = []
  for (const name of readdirSync(tests).sort()) {
    if (NOT_EXPORTED.has(name)) continue
    const [native, ours] = [runs.native[name], runs.ours[name]]
    if (!native) throw new Error(`no way to run ${name}`)
    const columns: { run: Run; count: KzgCount }[] = [
      { run: native, count: { name, passed: 0, faults: [] } },
      ...(ours ? [{ run: ours, count: { name: `${name} (ours)`, passed: 0, faults: [] } }] : []),
    ]
    const folder = join(tests, name, 'kzg-mainnet')
    for (const id of readdirSync(folder).sort()) {
      if (!id.includes(only)) continue
      const text = readFileSync(join(folder, id, 'data.yaml'), 'utf8')
      const { input, output } = parseVector(text) as Vector
      for (const { run, count } of columns) {
        const got = await attempt(run, input)
        if (got === SKIP) continue
        const want = output === null && run === ours && got === NO ? NO : output
        if (JSON.stringify(got) === JSON.stringify(want)) count.passed++
        else count.faults.push(`${id}: ${brief(got)}, recorded ${brief(output)}`)
      }
    }
    counts.push(...columns.map(({ count }) => count))
  }
  return counts
}

async function attempt(run: Run, input: Input): Promise<unknown> {
  try {
    return await run(input)
  } catch {
    return null
  }
}

function createRuns(): Record<'native' | 'ours', Readonly<Record<string, Run>>> {
  const kzg = DasContextJs.create({ usePrecomp: false })
  const many = (list: readonly Hex[]): Uint8Array[] => list.map(fromHex)
  const proofsOf = ({ cells, proofs }: { cells: Uint8Array[]; proofs: Uint8Array[] }) => [
    cells.map(toHex),
    proofs.map(toHex),
  ]
  return {
    native: {
      blob_to_kzg_commitment: ({ blob }) => toHex(kzg.blobToKzgCommitment(fromHex(blob))),
      compute_kzg_proof: ({ blob, z }) => kzg.computeKzgProof(fromHex(blob), fromHex(z)).map(toHex),
      compute_blob_kzg_proof: ({ blob, commitment }) =>
        toHex(kzg.computeBlobKzgProof(fromHex(blob), fromHex(commitment))),
      verify_kzg_proof: ({ commitment, z, y, proof }) =>
        kzg.verifyKzgProof(fromHex(commitment), fromHex(z), fromHex(y), fromHex(proof)),
      verify_blob_kzg_proof: ({ blob, commitment, proof }) =>
        kzg.verifyBlobKzgProof(fromHex(blob), fromHex(commitment), fromHex(proof)),
      verify_blob_kzg_proof_batch: ({ blobs, commitments, proofs }) =>
        kzg.verifyBlobKzgProofBatch(many(blobs), many(commitments), many(proofs)),
      compute_cells: ({ blob }) => kzg.computeCells(fromHex(blob)).map(toHex),
      compute_cells_and_kzg_proofs: ({ blob }) =>
        proofsOf(kzg.computeCellsAndKzgProofs(fromHex(blob))),
      verify_cell_kzg_proof_batch: ({ commitments, cell_indices, cells, proofs }) =>
        kzg.verifyCellKzgProofBatch(
          many(commitments),
          [...cell_indices],
          many(cells),
          many(proofs),
        ),
      recover_cells_and_kzg_proofs: ({ cell_indices, cells }) =>
        proofsOf(kzg.recoverCellsAndKzgProofs([...cell_indices], many(cells))),
    },
    ours: {
      blob_to_kzg_commitment: async ({ blob }) =>
        toHex((await proveBlob(fromHex(blob), 'blob')).commitment),
      compute_cells_and_kzg_proofs: async ({ blob }) => {
        const { proofs } = await proveBlob(fromHex(blob), 'cells')
        return [kzg.computeCells(fromHex(blob)).map(toHex), proofs.map(toHex)]
      },
      // It answers a wrong point like a wrong proof, as the precompile does.
      verify_kzg_proof: ({ commitment, z, y, proof }) =>
        verifyKzgProof({
          commitment: fromHex(commitment),
          z: fromHex(z),
          y: fromHex(y),
          proof: fromHex(proof),
        }) || NO,
      verify_blob_kzg_proof: async ({ blob, commitment, proof }) => {
        const sidecar = { blobs: [blob], commitments: [commitment], proofs: [proof] }
        return (await verifySidecar(sidecarOf(sidecar))).ok || NO
      },
      verify_blob_kzg_proof_batch: async (input) => {
        // A transaction without a blob is none, whatever an empty batch proves.
        if (input.blobs.length === 0) return SKIP
        return (await verifySidecar(sidecarOf(input))).ok || NO
      },
    },
  }
}

function sidecarOf({
  blobs,
  commitments,
  proofs,
}: Pick<Input, 'blobs' | 'commitments' | 'proofs'>): BlobSidecar {
  return {
    kind: 'blob',
    blobs: blobs.map(fromHex),
    commitments: commitments.map(fromHex),
    proofs: proofs.map(fromHex),
  }
}

function brief(value: unknown): string {
  return `${JSON.stringify(value)}`.slice(0, 80)
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { archive: { type: 'string', default: ARCHIVE }, only: { type: 'string' } },
  })
  if (!existsSync(values.archive)) throw new Error(`no archive ${values.archive}`)
  const counts = await runKzg(values.archive, values.only)
  for (const { name, passed, faults } of counts) {
    console.log(`${name.padEnd(44)} ${passed} passed, ${faults.length} failed`)
    for (const fault of faults) console.log(`    ${fault}`)
  }
  process.exitCode = counts.some(({ faults }) => faults.length) ? 1 : 0
}

if (import.meta.main) await main()
