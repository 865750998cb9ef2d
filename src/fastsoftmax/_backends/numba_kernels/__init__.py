"""The kernels of the ``numba`` backend: those of csrc/kernel, by the same names in the same order.

They give the same bits as the C kernels, for they are written in the same vectors, and so do not
depend on a compiler that sees the vectors in a scalar loop. What surrounds them:

    numba_api       what is used of Numba, in one place
    disk_cache      machine code kept on disk
    compilation     functions compiled when first called, one machine code a dtype, kept on disk
    staging         functions that write instructions: arithmetic on numbers and vectors
    words, memory   the vocabulary: instructions on vectors, and on memory
    job             what a kernel is told, and the arrays as it sees them
    pool            what a call shares with the threads that help
    run, parallel, affinity
                    samples in chunks, over threads

And the kernels, each on what stands above it:

    powers, real    the constants of float32 and float64
    sums            numbers kept to twice the precision
    exponential     the shifted exponential
    block           what a kernel works on at a time, along and across the lanes
    exponential_sums
                    sums of exponentials on a grid
    views           how rows lie in the caller's arrays
    turn, columns, pack
                    between them and blocks
    walk            one block after another
    rows            maxima, shifted exponentials and their sums, scaling
    probabilities   softmax, log_softmax, logsumexp
    backward        their vector-Jacobian products
    targets         labels and probabilities as targets
    gradients       the losses and gradients of a block's rows
    losses          their totals
    mean            the mean gradient
    cross_entropy   loss, gradient, mean gradient
    hessian         gradient and the diagonal of the Hessian
    shards          rows of which other classes are elsewhere
    labels          the check of labels
"""
