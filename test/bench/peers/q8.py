"""Writes a GGUF file anew with every quantised tensor as Q8_0; argv: from, to. Needs PyPI `gguf`."""

import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize, quantize

source, target = sys.argv[1:]
reader = gguf.GGUFReader(source)
writer = gguf.GGUFWriter(target, "llama")
for field in reader.fields.values():
    if field.name == "general.architecture" or field.name.startswith("GGUF."):
        continue
    kind, value = field.types[0], field.contents()
    if field.name == "general.file_type":
        value = int(gguf.LlamaFileType.MOSTLY_Q8_0)
    inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
    writer.add_key_value(field.name, value, kind, sub_type=inner)
for tensor in reader.tensors:
    if tensor.tensor_type == Kind.F32:
        writer.add_tensor(tensor.name, np.array(tensor.data))
        continue
    values = dequantize(tensor.data, tensor.tensor_type)
    writer.add_tensor(tensor.name, quantize(values, Kind.Q8_0), raw_dtype=Kind.Q8_0)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
