# The same bits on every machine: no multiply-add where the source has two operations. Loops over columns that want
# vector instructions are left as they are in builds that do not optimise so far, and that is no fault.
target_compile_options(mg_utils_formula PRIVATE -ffp-contract=off -Wno-pass-failed)
