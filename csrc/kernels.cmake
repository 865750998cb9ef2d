# The kernels' sources, definitions and flags, for every target that holds them: the extension module and the tests
# in C.

include(CheckCCompilerFlag)

set(FASTSOFTMAX_SANITIZE "" CACHE STRING "Sanitizers of gcc or clang to build with: address;undefined, or thread")

# Every x86-64 and AArch64 CPU has vectors: there the portable kernels, which are most of the time that a compiler takes,
# are to compare with. Elsewhere they are always built.
option(FASTSOFTMAX_PORTABLE_KERNELS "Build the portable kernels (\"scalar\") beside those for the CPU's vectors" OFF)

set(FASTSOFTMAX_CSRC ${CMAKE_CURRENT_LIST_DIR})

# Adds the two files of an instruction set, with its flags for them alone.
function(fastsoftmax_add_instruction_set target name)
  string(TOUPPER ${name} upper)
  foreach(dtype float32 float64)
    set(source ${FASTSOFTMAX_CSRC}/kernel/${name}_${dtype}.c)
    target_sources(${target} PRIVATE ${source})
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${ARGN}")
  endforeach()
  target_compile_definitions(${target} PRIVATE FSM_BUILD_${upper})
endfunction()

# Adds every instruction set that the compiler knows of the target's processor, and what finds out which the CPU has.
function(fastsoftmax_add_instruction_sets target)
  target_sources(${target} PRIVATE ${FASTSOFTMAX_CSRC}/cpu.c)
  set(x86_64 "^(x86_64|AMD64|amd64)$")
  set(arm64 "^(aarch64|arm64|ARM64)$")
  if(MSVC OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "${x86_64}|${arm64}")
    fastsoftmax_add_instruction_set(${target} scalar)
  elseif(FASTSOFTMAX_PORTABLE_KERNELS)
    fastsoftmax_add_instruction_set(${target} scalar -Os)
  endif()
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "${x86_64}" AND NOT MSVC)
    # Few CPUs are left that run these; with all that the compiler can do they would be half of the library.
    fastsoftmax_add_instruction_set(${target} sse2 -O2)
    check_c_compiler_flag("-mavx2 -mfma -mf16c" COMPILER_HAS_AVX2)
    if(COMPILER_HAS_AVX2)
      fastsoftmax_add_instruction_set(${target} avx2 -mavx2 -mfma -mf16c)
    endif()
    set(avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512 -mavx2 -mfma -mf16c)
    string(JOIN " " avx512_in_one ${avx512})
    check_c_compiler_flag("${avx512_in_one}" COMPILER_HAS_AVX512)
    if(COMPILER_HAS_AVX512)
      fastsoftmax_add_instruction_set(${target} avx512 ${avx512})
    endif()
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "${arm64}" AND NOT MSVC)
    fastsoftmax_add_instruction_set(${target} neon)
  endif()
endfunction()

# Adds the public functions, and the threads.
function(fastsoftmax_add_functions target)
  target_sources(${target} PRIVATE
    ${FASTSOFTMAX_CSRC}/abi/contiguous.c
    ${FASTSOFTMAX_CSRC}/abi/functions.c
    ${FASTSOFTMAX_CSRC}/abi/mean_grad.c
    ${FASTSOFTMAX_CSRC}/abi/overlap.c
    ${FASTSOFTMAX_CSRC}/abi/request.c
    ${FASTSOFTMAX_CSRC}/abi/status.c
    ${FASTSOFTMAX_CSRC}/cpu_count.c
    ${FASTSOFTMAX_CSRC}/labels.c
    ${FASTSOFTMAX_CSRC}/setup.c
    ${FASTSOFTMAX_CSRC}/threads.c)
endfunction()

# Adds what runs the kernels but for the threads.
function(fastsoftmax_add_runtime target)
  target_sources(${target} PRIVATE
    ${FASTSOFTMAX_CSRC}/affinity.c
    ${FASTSOFTMAX_CSRC}/dispatch.c
    ${FASTSOFTMAX_CSRC}/long_rows.c
    ${FASTSOFTMAX_CSRC}/pages.c
    ${FASTSOFTMAX_CSRC}/run.c)
  target_link_libraries(${target} PRIVATE Threads::Threads)
  if(UNIX)
    target_link_libraries(${target} PRIVATE m)
  endif()
  fastsoftmax_add_flags(${target})
endfunction()

# The process ends at the first finding, whose report has functions and lines.
function(fastsoftmax_add_sanitizers target)
  string(REPLACE ";" "," sanitizers "${FASTSOFTMAX_SANITIZE}")
  target_compile_definitions(${target} PRIVATE FSM_SANITIZED)
  target_compile_options(${target} PRIVATE -fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer
                         -g -O2)
  target_link_options(${target} PRIVATE -fsanitize=${sanitizers})
endfunction()

# Flags from outside, as CFLAGS has them, may ask for arithmetic that is faster than it is right. It is not to be had
# here, and of programs and libraries that are linked with such flags gcc before 13 makes ones that flush subnormal
# numbers in whoever loads them. These flags are taken out; -fno-fast-math, below, takes back what others bring.
foreach(flags CMAKE_C_FLAGS CMAKE_EXE_LINKER_FLAGS CMAKE_SHARED_LINKER_FLAGS CMAKE_MODULE_LINKER_FLAGS)
  string(REGEX REPLACE "-Ofast" "-O3" ${flags} "${${flags}}")
  string(REGEX REPLACE "-funsafe-math-optimizations" "" ${flags} "${${flags}}")
endforeach()

# The flags of all files.
function(fastsoftmax_add_flags target)
  if(UNIX)
    target_compile_definitions(${target} PRIVATE _POSIX_C_SOURCE=200809L)
  endif()
  # Contraction would fuse operations that the error terms need apart, differently on each instruction set. That nobody
  # asks errno or traps lets the compiler do both sides of a condition, and so whole rows at a time; no value changes.
  if(MSVC)
    target_compile_options(${target} PRIVATE /W4 /fp:precise)
  else()
    target_compile_options(${target} PRIVATE -Wall -Wextra -fno-fast-math -ffp-contract=off -fno-math-errno
                           -fno-trapping-math -fvisibility=hidden)
    target_link_options(${target} PRIVATE -fno-fast-math)
    if(FASTSOFTMAX_SANITIZE)
      fastsoftmax_add_sanitizers(${target})
    elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
      # Unswitched loops are a twentieth of the library, and not faster.
      target_compile_options(${target} PRIVATE -O3 $<$<C_COMPILER_ID:GNU>:-fno-unswitch-loops>)
    endif()
    if(FASTSOFTMAX_WARNINGS_AS_ERRORS)
      target_compile_options(${target} PRIVATE -Werror)
    endif()
  endif()
endfunction()
