# The same bits on every machine: no multiply-add where the source has two operations.
target_compile_options(mg_utils_formula PRIVATE -ffp-contract=off)
