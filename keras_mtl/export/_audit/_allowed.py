"""The operations that a SavedModel may have.

All exports of this package that the tests know (each architecture and kind of head, tables, bytes
of images, recurrent layers, serialized examples, networks quantized by Keras) use some of them; the
rest only compute, as those do. An operation that reads or writes files, calls Python, opens
connections, prints, waits, or keeps something from one request to the next is not among them.
"""

# Arithmetic, comparisons, reductions, linear algebra.
_MATH = """
    Abs Acos Acosh Add AddN AddV2 All Any ArgMax ArgMin Asin Asinh Atan Atan2 Atanh BatchMatMul
    BatchMatMulV2 BatchMatMulV3 Bincount BitwiseAnd BitwiseOr BitwiseXor Bucketize Cast Ceil
    CheckNumerics Cholesky ClipByValue Cos Cosh Cumprod Cumsum CumulativeLogsumexp DenseBincount
    Digamma Div DivNoNan Einsum Elu Equal Erf Erfc Erfinv EuclideanNorm Exp Expm1 Floor FloorDiv
    FloorMod Greater GreaterEqual Invert IsFinite IsInf IsNan L2Loss LeakyRelu LeftShift Less
    LessEqual Lgamma LinSpace Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul
    MatrixInverse Max Maximum Mean Min Minimum Mod Mul MulNoNan Neg NotEqual Pow Prod Range
    RealDiv Reciprocal Relu Relu6 RightShift Rint Round Rsqrt SegmentMax SegmentMean SegmentMin
    SegmentSum Select SelectV2 Selu Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Square
    SquaredDifference Sub Sum Tan Tanh TopKV2 TruncateDiv TruncateMod UnsortedSegmentMax
    UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum Xdivy Xlog1py Xlogy
"""

# Shapes, copies, pieces and constants.
_SHAPES = """
    BatchToSpaceND Bitcast BroadcastArgs BroadcastTo ConcatV2 Const DepthToSpace EnsureShape
    ExpandDims Fill GatherNd GatherV2 Identity IdentityN InvertPermutation MatrixBandPart
    MatrixDiagPartV3 MatrixDiagV3 MatrixSetDiagV3 MirrorPad NoOp OneHot OnesLike Pack Pad PadV2
    Placeholder PlaceholderWithDefault PreventGradient RaggedTensorToTensor Rank Reshape
    ReverseSequence ReverseV2 Roll ScatterNd Shape ShapeN Size Slice Snapshot SpaceToBatchND
    SpaceToDepth Split SplitV Squeeze StopGradient StridedSlice TensorScatterAdd
    TensorScatterMax TensorScatterMin TensorScatterSub TensorScatterUpdate Tile Transpose Unpack
    Where ZerosLike
"""

# Convolutions, and images from bytes in memory.
_IMAGES = """
    AvgPool AvgPool3D BiasAdd Conv2D Conv2DBackpropInput Conv3D CropAndResize DecodeBmp
    DecodeGif DecodeImage DecodeJpeg DecodePng DepthwiseConv2dNative ExtractImagePatches
    FusedBatchNormV3 MaxPool MaxPool3D ResizeBicubic ResizeBilinear ResizeNearestNeighbor
"""

# Strings in memory; regular expressions run in linear time (RE2).
_STRINGS = """
    AsString ParseExampleV2 RegexFullMatch RegexReplace StaticRegexFullMatch StaticRegexReplace
    StringJoin StringLength StringLower StringSplitV2 StringStrip StringToHashBucketFast
    StringToHashBucketStrong StringToNumber StringUpper Substr UnicodeDecodeWithOffsets
    UnicodeEncode UnicodeTranscode
"""

# Reading of variables and tables.
_STATE = """
    DisableCopyOnRead HashTableV2 LookupTableFindV2 LookupTableSizeV2 ReadVariableOp VarHandleOp
"""

# Calls of functions, which are read themselves, and loops.
_FLOW = """
    Assert Case If PartitionedCall StatefulPartitionedCall StatelessCase StatelessIf
    StatelessWhile TensorListFromTensor TensorListGetItem TensorListLength TensorListReserve
    TensorListSetItem TensorListStack While
"""

ALLOWED = frozenset(" ".join((_MATH, _SHAPES, _IMAGES, _STRINGS, _STATE, _FLOW)).split())
"""Types of operations that may stand anywhere."""

LOADING = frozenset({"AssignVariableOp", "LookupTableImportV2", "RestoreV2"})
"""Fill variables and tables while a model is loaded; no signature may reach them."""

SAVING = frozenset({"MergeV2Checkpoints", "SaveV2", "ShardedFilename"})
"""Write variables; nothing that a server runs may reach them."""

_READS_FILES = "reads files"
_READS_DATA = "reads data of its own"
_CALLS_PYTHON = "calls Python"
_PRINTS = "writes into the log, where values of columns must not stand"

REASONS = {
    "AssignVariableOp": "changes the model on a request",
    "CollectiveReduceV2": "talks to other machines",
    "DecodeProtoV2": _READS_FILES,
    "EagerPyFunc": _CALLS_PYTHON,
    "EncodeProto": _READS_FILES,
    "InitializeTableFromTextFileV2": _READS_FILES,
    "IteratorGetNext": _READS_DATA,
    "IteratorV2": _READS_DATA,
    "LoadLibrary": "loads code",
    "LookupTableExportV2": "copies a table",
    "LookupTableImportV2": "changes a table on a request",
    "LookupTableInsertV2": "keeps values of a request",
    "MatchingFiles": _READS_FILES,
    "MergeV2Checkpoints": "writes files where a server runs it",
    "Print": _PRINTS,
    "PrintV2": _PRINTS,
    "PyFunc": _CALLS_PYTHON,
    "PyFuncStateless": _CALLS_PYTHON,
    "ReadFile": _READS_FILES,
    "RestoreV2": "reads files on a request",
    "SaveV2": "writes files where a server runs it",
    "ShardedFilename": "writes files where a server runs it",
    "TFRecordDataset": _READS_FILES,
    "TextLineDataset": _READS_FILES,
    "WriteFile": "writes files",
}
"""Why an operation is not allowed, for those that are met most often."""
