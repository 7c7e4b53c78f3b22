/** The Python environment of the peers that compute: transformers and peft on PyTorch, GGUF files read. */
import type { Venv } from '../../../scripts/bench/python.ts'

export const VENV: Venv = {
  name: 'serving',
  requirements: ['torch==2.15.0', 'transformers==5.24.0', 'peft', 'gguf==0.19.0', 'accelerate'],
}
