# What the project links against: libtorch and Arrow from .venv, llama.cpp from .deps, the rest from Debian.
find_program(LONGHAND_PYTHON python3 HINTS ${CMAKE_SOURCE_DIR}/.venv/bin NO_DEFAULT_PATH REQUIRED)

function(ask_python result code)
  execute_process(COMMAND ${LONGHAND_PYTHON} -c "${code}" OUTPUT_VARIABLE answer
                  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(${result} ${answer} PARENT_SCOPE)
endfunction()

if(NOT Torch_DIR)
  # Read from the package's own metadata: importing torch takes seconds.
  ask_python(site "import sysconfig; print(sysconfig.get_path('purelib'))")
  set(Torch_DIR ${site}/torch/share/cmake/Torch CACHE PATH "")
  set(LONGHAND_SITE ${site} CACHE PATH "")
endif()
if(EXISTS ${LONGHAND_SITE}/torch/lib/libtorch_cuda.so)
  # Its CMake package would ask for CUDA's compiler, which nothing here needs. No symbol of libtorch_cuda is named, so that
  # the linker must be told to keep it.
  set(TORCH_INCLUDE_DIRS ${LONGHAND_SITE}/torch/include ${LONGHAND_SITE}/torch/include/torch/csrc/api/include)
  set(TORCH_LIBRARIES ${LONGHAND_SITE}/torch/lib/libtorch_cpu.so ${LONGHAND_SITE}/torch/lib/libc10.so
    "-Wl,--no-as-needed,${LONGHAND_SITE}/torch/lib/libtorch_cuda.so,--as-needed")
else()
  find_package(Torch REQUIRED)
endif()
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(CURL 7.85 REQUIRED)
find_package(ICU REQUIRED COMPONENTS uc i18n data)
find_package(OpenSSL REQUIRED)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(LibArchive REQUIRED)
find_package(MPI COMPONENTS C)  # without it, training runs in one process
pkg_check_modules(VIPS REQUIRED IMPORTED_TARGET vips-cpp)

add_library(longhand_torch INTERFACE)
target_link_libraries(longhand_torch INTERFACE ${TORCH_LIBRARIES})
# libtorch's package carries an fmt of its own, newer than the one that Debian's spdlog was built with:
# its folders are searched after the system's.
foreach(target torch torch_library torch_cpu torch_cpu_library c10)
  if(TARGET ${target})
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "")
  endif()
endforeach()
foreach(folder ${TORCH_INCLUDE_DIRS})
  target_compile_options(longhand_torch INTERFACE "SHELL:-idirafter ${folder}")
endforeach()

add_library(longhand_vips INTERFACE)
target_link_libraries(longhand_vips INTERFACE PkgConfig::VIPS)

# pyarrow carries libarrow and libparquet with versioned names and no links to them.
file(GLOB ARROW_LIBRARY ${LONGHAND_SITE}/pyarrow/libarrow.so.*)
file(GLOB PARQUET_LIBRARY ${LONGHAND_SITE}/pyarrow/libparquet.so.*)
add_library(longhand_arrow INTERFACE)
target_link_libraries(longhand_arrow INTERFACE ${PARQUET_LIBRARY} ${ARROW_LIBRARY})
target_include_directories(longhand_arrow SYSTEM INTERFACE ${LONGHAND_SITE}/pyarrow/include)
target_link_options(longhand_arrow INTERFACE -Wl,-rpath,${LONGHAND_SITE}/pyarrow
                    -Wl,-rpath-link,${LONGHAND_SITE}/pyarrow)
# libparquet exports an OpenSSL of its own; where it is found first, libcrypto calls into it and crashes. Debian's leads
# every link line.
target_link_options(longhand_arrow INTERFACE
  "SHELL:-Wl,--push-state,--no-as-needed ${OPENSSL_SSL_LIBRARY} ${OPENSSL_CRYPTO_LIBRARY} -Wl,--pop-state")

set(LLAMA_SOURCE ${CMAKE_SOURCE_DIR}/.deps/llama-source)
set(LLAMA_BUILD ${CMAKE_SOURCE_DIR}/.deps/llama)
add_library(longhand_llama INTERFACE)
target_include_directories(longhand_llama SYSTEM INTERFACE ${LLAMA_SOURCE}/include
  ${LLAMA_SOURCE}/common ${LLAMA_SOURCE}/ggml/include)
# Its vendor folder has a newer nlohmann-json than Debian's: searched last, so that all of the project sees one.
target_compile_options(longhand_llama INTERFACE "SHELL:-idirafter ${LLAMA_SOURCE}/vendor")
target_link_libraries(longhand_llama INTERFACE
  ${LLAMA_BUILD}/common/libllama-common.a ${LLAMA_BUILD}/common/libllama-common-base.a
  ${LLAMA_BUILD}/src/libllama.a ${LLAMA_BUILD}/ggml/src/libggml.a
  ${LLAMA_BUILD}/ggml/src/libggml-cpu.a ${LLAMA_BUILD}/ggml/src/libggml-base.a
  ${LLAMA_BUILD}/vendor/cpp-httplib/libcpp-httplib.a OpenSSL::SSL OpenSSL::Crypto Threads::Threads dl)
