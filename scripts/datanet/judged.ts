/** A look at somebody's content through a node, judged by the code of what fails (`node/datanet/judge.ts`). */
import { messageOf, NodeError } from '../../node/base/errors.ts'
import { isWrongContent, type Judged } from '../../node/datanet/judge.ts'

/** `rpcTo` has asked some times. @throws NodeError what says nothing of the content: the node is not there, or asks to be asked less */
export async function judged<T>(look: () => Promise<T>): Promise<Judged<T>> {
  try {
    return { kind: 'right', value: await look() }
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    // What the node said, when it is its word.
    if (isWrongContent(error.data.said ?? error.code))
      return { kind: 'wrong', why: messageOf(error) }
    if (error.code === 'rpc-unavailable') return { kind: 'unavailable', why: messageOf(error) }
    throw error
  }
}
